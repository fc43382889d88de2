// SPDX-License-Identifier: Apache-2.0
//
// Sums of shifted rows: what columns, folding back and pooling have in common. Row o of the result is
//
//   out[i] (+)= 1 / divisor sum_t sum_j [i = j out_step + out_shift] in_t[j in_step + in_shift]
//
// A functor of this kind states `radix()` (how o splits into coordinates), `row(at)`, `kernel()` and `taps()`
// (coordinates and number of the taps), `tap(at, t)`, `divisor()` and `accumulate`. A GPU thread sums one element over
// the taps; the CPU adds tap after tap to a row, which runs along memory, and counts coordinates up instead of
// dividing.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

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
  HSO_HD void next(Digits<N>& at) const {
    int i = 0;
    for (; i < N - 1 && ++at.d[i] == extent[i]; ++i) at.d[i] = 0;
    if (i == N - 1) ++at.d[i];
  }
};

/// a / step towards zero. Extents of one axis fit 32 bits, whose division is several times faster on both sides.
HSO_HD inline Index axis_divide(Index a, Index step) {
  return step == 1 ? a : static_cast<std::int32_t>(a) / static_cast<std::int32_t>(step);
}

/// The j in [0, count) whose j step + shift lies in [0, extent): a range.
struct TapRange {
  Index begin, end;
};
HSO_HD inline TapRange tap_range(Index count, Index step, Index shift, Index extent) {
  const Index begin = shift >= 0 ? 0 : axis_divide(step - 1 - shift, step);
  const Index end = shift >= extent ? 0 : axis_divide(extent - shift + step - 1, step);
  return {begin, end < count ? end : count};
}

/// The position o with o step + shift + tap dilation = i on one axis, or -1.
HSO_HD inline Index tap_source(Index i, Index pad, Index tap, Index dilation, Index step, Index count) {
  const Index t = i + pad - tap * dilation;
  const Index o = axis_divide(t, step);
  return t >= 0 && o * step == t && o < count ? o : -1;
}

/// What one row takes from one source; begin >= end: nothing.
template <class T>
struct Tap {
  const T* in = nullptr;
  TapRange range{0, 0};
  Index in_step = 1, in_shift = 0, out_step = 1, out_shift = 0;
};

/// One element of a row: what operator()(o, i) of these functors is.
template <class T, class F>
HSO_HD inline void sum_taps(const F& f, Index o, Index i) {
  const auto at = f.radix().split(o);
  T sum = 0;
  Digits<2> t{};
  for (Index count = 0; count < f.taps(); ++count, f.kernel().next(t)) {
    const Tap<T> tap = f.tap(at, t);
    const Index k = i - tap.out_shift, j = axis_divide(k, tap.out_step);
    if (j >= tap.range.begin && j < tap.range.end && j * tap.out_step == k)
      sum += tap.in[j * tap.in_step + tap.in_shift];
  }
  store(f.row(at) + i, sum / f.divisor(), f.accumulate);
}

}  // namespace hso::detail
