// SPDX-License-Identifier: Apache-2.0
//
// The exchangeable trace estimators of Epperly, Tropp and Webber (SIAM J. Matrix Anal. 45 (2024) 1), in the coordinates
// of their sketches: small dense matrices on the host, k probes z_1, ..., z_k. Each gives its value and, for the
// jackknife, what it would have been without probe l, for every l.
#pragma once

#include <optional>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso::detail {

/// Row-major [k][k].
struct SmallMatrix {
  explicit SmallMatrix(std::size_t order) : k(order), entries(order * order, 0.0) {}
  SmallMatrix(std::size_t order, std::vector<double> a) : k(order), entries(std::move(a)) {}
  double& operator()(std::size_t i, std::size_t j) { return entries[i * k + j]; }
  double operator()(std::size_t i, std::size_t j) const { return entries[i * k + j]; }
  std::size_t k;
  std::vector<double> entries;
};

struct LeaveOneOut {
  double value = 0;
  std::vector<double> without;  ///< the estimate without probe l
};

/// Q [k][n] an orthonormal basis of the range of A z_j.
struct XTraceSketch {
  Index n;
  SmallMatrix h;                ///< Q A Q'
  SmallMatrix r;                ///< A z_j = sum_l r(l, j) q_l: upper triangular, not singular
  SmallMatrix w;                ///< w(j, i) = q_i'z_j
  std::vector<double> squares;  ///< |z_j|^2
};
/// k >= 2
LeaveOneOut xtrace_of(const XTraceSketch& sketch);

/// Of A + shift I, positive definite. Y = (A + shift I) Z = Q'R.
struct NystromSketch {
  Index n;
  double shift;
  SmallMatrix r;     ///< upper triangular
  SmallMatrix zy;    ///< Z'Y
  SmallMatrix gram;  ///< Z'Z
};
/// tr A; k >= 2. Nothing when Z'Y is not positive definite: neither is A + shift I.
std::optional<LeaveOneOut> xnystrace_of(const NystromSketch& sketch);

}  // namespace hso::detail
