// SPDX-License-Identifier: Apache-2.0
//
// The coefficients of Lanczos' recurrence for many probes at once, in device memory:
// beta_{j+1} v_{j+1} = A v_j - alpha_j v_j - beta_j v_{j-1}. Row j may be kept as u_j = length v_j.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// What a recurrence knows of its probes.
struct ProbeState {
  double* length;   ///< [lanes] |u_j|
  double* before;   ///< [lanes] |u_{j-1}|
  double* alive;    ///< [lanes] 0 where the space is exhausted: such a probe goes on as a row of zeros
  double* largest;  ///< [1] the largest coefficient of all probes
};

/// alpha_j, and the factors of LaneRecurrence for the next row. Launch with 1 x 1.
template <class T>
struct ProbeAlpha {
  Index lanes;
  const double* along;      ///< [lanes] u_j'A u_j; or null:
  const T *first, *second;  ///< the coefficients of v_j in two projections, at distances `stride`
  Index stride;
  ProbeState state;
  double* alpha;  ///< [lanes]
  T* factors;     ///< [3][lanes], or null: not wanted
  bool start;     ///< there is no row before this one

  HSO_HD void operator()(Index, Index) const {
    for (Index p = 0; p < lanes; ++p) {
      const double length = state.length[p];
      alpha[p] = along != nullptr ? along[p] / (length * length)
                                  : static_cast<double>(first[p * stride]) + static_cast<double>(second[p * stride]);
      const double size = std::fabs(alpha[p]);
      if (size > *state.largest) *state.largest = size;
    }
    if (factors == nullptr) return;
    for (Index p = 0; p < lanes; ++p) {
      const double length = state.length[p];
      const bool on = state.alive[p] != 0;
      factors[p] = on ? static_cast<T>(1 / length) : T(0);
      factors[lanes + p] = on ? static_cast<T>(-alpha[p] / length) : T(0);
      factors[2 * lanes + p] = on && !start ? static_cast<T>(-length / state.before[p]) : T(0);
    }
  }
};

/// beta_{j+1} = sqrt(squares), 0 where the probe's space is exhausted, and the lengths of the next step.
/// Launch with 1 x 1.
template <class T>
struct ProbeBeta {
  Index lanes;
  const double* squares;  ///< [lanes] of what the recurrence left
  double negligible;      ///< beside the largest coefficient
  ProbeState state;
  double* beta;  ///< [lanes]; what is not finite stays as it is
  T* factors;    ///< [2][lanes]: 1 / beta and 0, for a next row of length 1; or null: it keeps length beta

  HSO_HD void operator()(Index, Index) const {
    for (Index p = 0; p < lanes; ++p) {
      const double root = std::sqrt(squares[p]);
      if (root > *state.largest) *state.largest = root;
      if (root <= negligible * *state.largest) state.alive[p] = 0;
      const bool on = state.alive[p] != 0;
      beta[p] = on || !(root - root == 0) ? root : 0;
      if (factors != nullptr) {
        factors[p] = on ? static_cast<T>(1 / root) : T(0);
        factors[lanes + p] = T(0);
      } else {
        state.before[p] = state.length[p];
        state.length[p] = on ? root : 1;
      }
    }
  }
};

template <class T>
using QuadratureOps = Types<ProbeAlpha<T>, ProbeBeta<T>>;

}  // namespace hso::detail
