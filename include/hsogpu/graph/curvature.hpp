// SPDX-License-Identifier: Apache-2.0
//
// Kinds of curvature of f(theta) = 1/N sum_n loss(z_n, t_n) + decay/2 |theta|^2; `decay I` is part of all of them but
// gradient_outer. J_n = dz_n/dtheta, g_n the gradient of sample n's loss.
//   hessian            H, exact (Pearlmutter 1994)
//   ggn                1/N sum_n J_n' (d^2 loss/dz^2) J_n (Schraudolph 2002); the Fisher matrix of the three losses
//   fisher_mc          1/N sum_n g_n g_n' with targets drawn from the model, averaged over draws: its mean is the ggn
//   fisher_empirical   1/N sum_n g_n g_n' with the data's targets
//   gradient_outer     g g', g the gradient of f: rank one
//   finite_difference  H from differences of the gradient
//   secant             H_ij ~ (g_i(theta + d) - g_i(theta)) / d_j: SecantOperator
//   kfac, ekfac        Kronecker factors of the ggn or a Fisher matrix (kronecker.hpp)
//   diagonal           of the ggn or a Fisher matrix, exact, or of H, estimated
#pragma once

#include <string>
#include <vector>

namespace hso {

enum class Curvature {
  hessian,
  ggn,
  fisher_mc,
  fisher_empirical,
  gradient_outer,
  finite_difference,
  secant,
  kfac,
  ekfac,
  diagonal
};
/// The names above.
const std::vector<std::string>& curvature_names();
Curvature parse_curvature(const std::string& name);  ///< UsageError lists the names
const std::string& name_of(Curvature kind);
/// Kinds of curvature that are positive semidefinite whatever the network, its data and a weight decay >= 0.
bool is_positive_semidefinite(Curvature kind);

/// What a linearisation prepares: GGN and Fisher products need the forward pass alone.
enum class Linearization { for_ggn, for_hessian };

}  // namespace hso
