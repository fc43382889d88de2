// SPDX-License-Identifier: Apache-2.0
//
// What Lanczos' recurrence from one random vector says about eigenvalues that it has not shown. After j steps from a
// unit vector b, p_0, ..., p_j are the orthonormal polynomials of b's spectral measure. An eigenvector u of the value x
// is there with weight <b, u>^2 <= 1 / sum_i p_i(x)^2, Christoffel's function, which falls exponentially with j where x
// lies outside what was seen; and a random b hides u that well only with a small probability (van Dorsselaer,
// Hochstenbach and van der Vorst, SIAM J. Matrix Anal. 22 (2000) 837). No gap and no norm need be known.
#pragma once

#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso::detail {

/// alpha_0, ..., alpha_{j-1} and beta_0, ..., beta_{j-1}; the last beta is the length of what a next step begins with.
struct LanczosRecurrence {
  std::vector<double> diagonal, off_diagonal;
};

/// log of Christoffel's function at x. The first beta that is at most `rounding` counts as `rounding` and is the last:
/// b's Krylov space ends there, and what follows comes from another vector.
double log_hidden_weight(const LanczosRecurrence& r, double x, double rounding);

/// An upper bound of the probability that b, uniform on the unit sphere of R^d, has <b, u>^2 at most exp(log_weight)
/// for a given unit vector u: sqrt(2 d w / pi), from the density of <b, u>, which is largest at 0.
double chance_of_hiding(Index d, double log_weight);

/// The x nearest `inner`, going outwards (sign +1: up, -1: down), from which on an eigenvector is hidden with
/// probability `chance` at most. inner lies outside all Ritz values.
double hidden_beyond(const LanczosRecurrence& r, Index d, double inner, double sign, double chance, double rounding);

}  // namespace hso::detail
