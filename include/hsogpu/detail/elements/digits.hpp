// SPDX-License-Identifier: Apache-2.0
//
// Row numbers and their coordinates. A functor whose rows have several coordinates (lane, sample, channel, ...) states
// `radix()`, and its operator gets the coordinates. The host counts them up from row to row; the device splits a row
// number by multiplications (cuda/element_map.hpp). Neither divides for an element.
#pragma once

#include "hsogpu/core/types.hpp"
#include "hsogpu/detail/hd.hpp"

namespace hso::detail {

/// Coordinates, the fastest first; the last one is unbounded.
template <int N>
struct Digits {
  Index d[N];
  HSO_HD Index operator[](int i) const { return d[i]; }
};

/// Extents of the first N - 1 coordinates.
template <int N>
struct Radix {
  static constexpr int kDigits = N;
  Index extent[N - 1];

  HSO_HD Digits<N> split(Index o) const {
    Digits<N> at{};
    for (int i = 0; i < N - 1; ++i) {
      const Index rest = o / extent[i];
      at.d[i] = o - rest * extent[i];
      o = rest;
    }
    at.d[N - 1] = o;
    return at;
  }
  /// The coordinates of o + 1.
  HSO_HD void next(Digits<N>& at) const { count_up<0>(at); }

 private:
  // Every index is a constant: an array indexed by a variable would go to local memory on a device.
  template <int I>
  HSO_HD void count_up(Digits<N>& at) const {
    ++at.d[I];
    if constexpr (I < N - 1) {
      if (at.d[I] == extent[I]) {
        at.d[I] = 0;
        count_up<I + 1>(at);
      }
    }
  }
};

template <class F>
concept SplitsRows = requires(const F& f) {
  f.radix();
};

/// What functor F calls row o: the number itself or its coordinates.
template <class F>
HSO_HD inline auto row_at(const F& f, Index o) {
  if constexpr (SplitsRows<F>)
    return f.radix().split(o);
  else
    return o;
}

/// `at` moves on to the next row.
template <class F, class At>
HSO_HD inline void next_row(const F& f, At& at) {
  if constexpr (SplitsRows<F>)
    f.radix().next(at);
  else
    ++at;
}

}  // namespace hso::detail
