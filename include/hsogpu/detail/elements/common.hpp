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

}  // namespace hso::detail
