// SPDX-License-Identifier: Apache-2.0
//
// More forms of the epsilon-modified inverse: dense by Cholesky, block-diagonal, and from rank-one updates. Options
// apart from state; every field is an option of that name.
#pragma once

#include "hsogpu/optimizer.hpp"

namespace hso {

/// Dense without eigenvalues: theta -= rate ((A + tau I)^-1 + eps I) g, A + tau I = L L'. tau = delta where that is
/// positive definite; else it starts at 1e-3 |A|_F and doubles until the factorisation succeeds (Nocedal and Wright
/// 2006, algorithm 3.3), which the metric `shift` tells. eps_scale counts in units of 1 / |A|_F, at most 1 /
/// lambda_max. Memory of 2 n^2.
struct HsoCholeskyOptions {
  double rate = 1;
  std::string curvature = "hessian";  ///< or "ggn", "finite_difference"
  double delta = 0.01;
  double eps = 0, eps_scale = 0.1;
  bool adaptive = true;
  int max_trials = 12;
};

/// Block-diagonal: every block of A on its own eigenbasis, theta_b -= rate (V' diag(1 / phi) V + eps_b I) g_b, with the
/// sign policies of HsoOptions. eps_scale counts in units of 1 / lambda_max of the block. Memory of sum b^2 and one
/// eigendecomposition each, blocks of one size together. What couples blocks is left out of the inverse, not of the
/// quadratic model that judges the step: `rescale` takes its minimum along the step.
struct HsoBlockOptions {
  double rate = 1;
  std::string curvature = "hessian";
  /// "layer": parameters whose names agree up to the last '.'; "parameter": every tensor by itself.
  std::string blocks = "layer";
  std::string sign = "abs";
  int refresh = 1;  ///< accepted steps that one set of decompositions serves
  bool rescale = true;
  double delta = 0.01;
  double eps = 0, eps_scale = 0.1;
  bool adaptive = true;
  int max_trials = 12;
};

/// The inverse from rank-one updates, theta -= rate (B + eps I) g. g is the gradient that each step sees: of the batch,
/// not of single samples.
///   outer  B = (delta I + sum_j decay^(k-j) g_j g_j')^-1, the current gradient among them: by Sherman and Morrison's
///          formula with memory = 0, which holds B [n][n]; by Woodbury's identity from the last `memory` gradients.
///          decay < 1 needs memory: a rank-one update that forgets would forget delta I with the gradients.
///   sr1    B += v v' / v'y, v = s - B y, from steps s and changes of the gradient y, skipped where
///          |v'y| < skip |v| |y| (Nocedal and Wright 2006, eq. 6.25 to 6.26); B_0 is half of s'y / y'y. memory = 0
///          holds B; otherwise the last pairs in compact form (Byrd, Nocedal and Schnabel, Math. Program. 63 (1994)
///          129, theorem 5.1 with s and y exchanged). delta and decay mean nothing here. Wants the whole batch.
/// A direction that does not descend (B is indefinite, or lost to rounding) becomes a gradient step, and the report
/// says so. The length is halved until f falls by `decrease` of what the slope promises (Armijo); where it never does
/// the step is rejected and theta stays.
struct HsoRank1Options {
  double rate = 1;
  std::string kind = "outer";
  int memory = 0;  ///< vectors kept; 0: dense
  double delta = 1;
  double decay = 1;
  double skip = 1e-8;
  double eps = 0;  ///< absolute
  double decrease = 1e-4;
  int max_trials = 30;
};

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_cholesky(const HsoCholeskyOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_block(const HsoBlockOptions& options);
template <class T>
std::unique_ptr<Optimizer<T>> make_hso_rank1(const HsoRank1Options& options);

}  // namespace hso
