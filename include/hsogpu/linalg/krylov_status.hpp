// SPDX-License-Identifier: Apache-2.0
//
// How a solve of one right-hand side ended.
#pragma once

namespace hso {

enum class KrylovStatus {
  converged,
  max_iterations,      ///< x is the last iterate
  negative_curvature,  ///< p'Ap <= 0: A is not positive definite; x is the iterate before it
  not_finite,          ///< b, a product or a step is not finite; x is the iterate before
  stalled              ///< rounding holds the true residual above the tolerance; minres: or b lies outside A's range
};
const char* name_of(KrylovStatus status);

}  // namespace hso
