// SPDX-License-Identifier: Apache-2.0
//
// Minimises the quadratic model g's + s'As / 2 by conjugate gradients from s = 0 that stop where A bends down or the
// step leaves the ball of `radius`: Steihaug, SIAM J. Numer. Anal. 20 (1983) 626; Nocedal and Wright 2006, algorithm
// 7.2, and with an infinite radius the inner loop of algorithm 7.1. A may be indefinite.
#pragma once

#include <limits>

#include "hsogpu/objective.hpp"

namespace hso::detail {

struct TruncatedCgOptions {
  double tolerance = 0;  ///< of |g + A s|, absolute
  Index iterations = 0;
  double radius = std::numeric_limits<double>::infinity();
};

enum class TruncatedCgEnd {
  converged,
  iterations,
  negative_curvature,  ///< p'Ap <= 0: s lies on the sphere along p; infinite radius: s is the iterate before, or -g
  boundary,            ///< an iterate left the ball: s lies on the sphere
  not_finite           ///< g or a product is not finite: s is the iterate before
};
const char* name_of(TruncatedCgEnd end);

struct TruncatedCgResult {
  TruncatedCgEnd end = TruncatedCgEnd::iterations;
  Index products = 0;
  double slope = 0;  ///< g's
  double model = 0;  ///< g's + s'As / 2; not known (0) where s is -g for want of an iterate
};

/// s[n] is overwritten; g and s are device memory and do not overlap. Three vectors of scratch.
template <class T>
TruncatedCgResult truncated_cg(LinearOperator<T>& a, const T* g, T* s, const TruncatedCgOptions& options);

}  // namespace hso::detail
