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

/// One element of a row: what operator()(at, i) of these functors is.
template <class T, class F, class At>
HSO_HD inline void sum_taps(const F& f, const At& at, Index i) {
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
