// SPDX-License-Identifier: Apache-2.0
//
// Element functors: what one element does, in one place for both backends. Each is trivially copyable and has
// `operator()(Index o, Index i) const`: o is the outer index (a lane, or a row of a lane), i runs along memory.
// Load everything, compute, store: a load inside a branch keeps the host's loop from vectorising.
// `accumulate` false overwrites the destination without reading it.
#pragma once

#include "hsogpu/detail/hd.hpp"
#include "hsogpu/detail/math.hpp"
#include "hsogpu/types.hpp"

namespace hso::detail {

template <class T>
HSO_HD inline void store(T* destination, T value, bool accumulate) {
  const T old = accumulate ? *destination : T(0);
  *destination = old + value;
}

/// For the scalars of iterative solvers.
HSO_HD inline bool is_finite(double x) { return x - x == 0; }

/// Enumerators as numbers of device memory.
template <class Enum>
HSO_HD constexpr double code_of(Enum e) {
  return static_cast<double>(static_cast<int>(e));
}

}  // namespace hso::detail
