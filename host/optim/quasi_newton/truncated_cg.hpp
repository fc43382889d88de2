// SPDX-License-Identifier: Apache-2.0
//
// Minimises the quadratic model g's + s'As / 2 by conjugate gradients from s = 0 that stop where A bends down or the
// step leaves the ball of `radius`: Steihaug, SIAM J. Numer. Anal. 20 (1983) 626; Nocedal and Wright 2006, algorithm
// 7.2, and with an infinite radius the inner loop of algorithm 7.1. A may be indefinite.
#pragma once

#include <limits>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective/objective.hpp"

namespace hso::detail {

struct TruncatedCgOptions {
  double tolerance = 0;  ///< of |g + A s|, absolute
  Index iterations = 0;
  double radius = std::numeric_limits<double>::infinity();
  Index expected = 0;  ///< products of a similar solve: where results come late, the host looks first then
};

const char* name_of(TruncatedCgEnd end);

struct TruncatedCgResult {
  TruncatedCgEnd end = TruncatedCgEnd::iterations;
  Index products = 0;
  double slope = 0;  ///< g's
  double norm = 0;   ///< |s|
  double model = 0;  ///< g's + s'As / 2; not known (0) where s is -g for want of an iterate
};

/// s[n] is overwritten; g and s are device memory and do not overlap. Three vectors of scratch.
/// Every number stays on the device; the host waits for the result, and looks after some iterations whether one is due
/// (late_look.hpp).
template <class T>
TruncatedCgResult truncated_cg(LinearOperator<T>& a, const T* g, T* s, const TruncatedCgOptions& options);

}  // namespace hso::detail
