// SPDX-License-Identifier: Apache-2.0
//
// Checks that vectors and ranges fit an operator's dimension.
#pragma once

#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/linear_operator.hpp"

namespace hso::detail {

/// InputError unless v and hv are K vectors of the operator's dimension.
template <class T>
void require_fitting(const LinearOperator<T>& a, const View<const T>& v, const View<T>& hv, const char* what) {
  const Index n = a.dimension();
  if (v.size() != n || hv.size() != n || v.lanes != hv.lanes)
    throw InputError(fmt::format("{}: vectors {} x {} and {} x {}, expected K x [{}] both", what, v.lanes,
                                 v.shape.to_string(), hv.lanes, hv.shape.to_string(), n));
}

/// InputError unless [begin, begin + size) lies in [0, n).
inline void require_range(const char* what, Index begin, Index size, Index n) {
  if (begin < 0 || size < 0 || begin > n - size)
    throw InputError(fmt::format("{}: [{}, {}), expected a range within [0, {})", what, begin, begin + size, n));
}

}  // namespace hso::detail
