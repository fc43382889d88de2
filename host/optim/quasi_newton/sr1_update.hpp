// SPDX-License-Identifier: Apache-2.0
//
// The symmetric rank-one update, dense (Nocedal and Wright 2006, equation 6.24): of M with M s = y demanded,
// M += r r' / (r's) with r = y - M s. Fed with (s, y) it approximates the Hessian, fed with (y, s) its inverse
// (equation 6.25: the update is its own dual).
#pragma once

#include <cmath>

#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

/// m[n][n] symmetric, s, y[n], r[n] for room: device memory. False when the skip rule (equation 6.26),
/// |r's| < skip |r| |s|, or a number that is not finite left M as it was; r = 0 does so too and is true.
template <class T>
bool sr1_update(Ops<T>& ops, Index n, T* m, const T* s, const T* y, T* r, double skip) {
  ops.copy(n, y, r);
  ops.gemm({n, 1, n, m, n, false, s, 1, false, r, 1, T(-1), T(1)});
  const double rs = ops.dot(n, r, s), rr = ops.dot(n, r, r), ss = ops.dot(n, s, s);
  if (rr == 0) return true;
  if (!(std::fabs(rs) >= skip * std::sqrt(rr) * std::sqrt(ss)) || rs == 0) return false;
  const T weight = static_cast<T>(1 / rs);
  if (!std::isfinite(weight * static_cast<T>(rr))) return false;
  ops.gemm({n, n, 1, r, 1, false, r, n, false, m, n, weight, T(1)});
  return true;
}

}  // namespace hso::detail
