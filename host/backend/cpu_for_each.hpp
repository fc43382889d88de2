// SPDX-License-Identifier: Apache-2.0
//
// for_each on the CPU. The functor is copied to a local, so that no store can alias its members, and the loop that runs
// along memory is the innermost one; sums of shifted rows (elements/taps.hpp) go tap by tap. Elements are independent
// by contract, which is what `omp simd` asserts. Included by one translation unit for each type: some sixty functors
// are compiled here.
#pragma once

#include <omp.h>

#include <algorithm>
#include <type_traits>

#include "backend/cpu_ops.hpp"

namespace hso::detail {

struct Range {
  Index begin, end;
};

/// Part `part` of `parts` of [0, n), cut at multiples of `grain`.
inline Range part_of(Index n, Index part, Index parts, Index grain) {
  const Index grains = (n + grain - 1) / grain;
  return {std::min(n, grains * part / parts * grain), std::min(n, grains * (part + 1) / parts * grain)};
}

/// body(f) with `accumulate` a constant in each copy: a select on a loop-invariant bool keeps GCC from vectorising.
template <class F, class Body>
[[gnu::always_inline]] inline void unswitched(F f, const Body& body) {
  if constexpr (requires { f.accumulate; }) {
    if (f.accumulate) {
      f.accumulate = true;
      body(f);
      return;
    }
    f.accumulate = false;
  }
  body(f);
}

// flatten: a functor that the compiler chose to call instead of inlining would keep its loop scalar.
template <class F>
[[gnu::flatten]] void loop(const F& op, Range outer, Range inner) {
  unswitched(op, [=](F f) {
    for (Index o = outer.begin; o < outer.end; ++o) {
#pragma omp simd
      for (Index i = inner.begin; i < inner.end; ++i) f(o, i);
    }
  });
}

template <class F>
[[gnu::flatten]] void loop_outer(const F& op, Range outer) {
  unswitched(op, [=](F f) {
#pragma omp simd
    for (Index o = outer.begin; o < outer.end; ++o) f(o, 0);
  });
}

/// out[j] += in[j] over one tap's part of a tile that starts at element `first` of the row.
template <class T>
inline void add_tap(const Tap<T>& tap, Index first, Index count, T* sum) {
  const Index shift = tap.out_shift - first;
  const TapRange tile = tap_range(tap.range.end, tap.out_step, shift, count);
  const Index begin = std::max(tap.range.begin, tile.begin), end = tile.end;
  if (tap.in_step == 1 && tap.out_step == 1) {
#pragma omp simd
    for (Index j = begin; j < end; ++j) sum[j + shift] += tap.in[j + tap.in_shift];
  } else {
#pragma omp simd
    for (Index j = begin; j < end; ++j) sum[j * tap.out_step + shift] += tap.in[j * tap.in_step + tap.in_shift];
  }
}

template <class F, class T>
inline void store_tile(const F& op, const T* sum, Index count, T* out) {
  const T divisor = op.divisor();
  if (op.accumulate) {
#pragma omp simd
    for (Index i = 0; i < count; ++i) out[i] += sum[i] / divisor;
  } else {
#pragma omp simd
    for (Index i = 0; i < count; ++i) out[i] = sum[i] / divisor;
  }
}

/// Elements [begin, end) of each row, a tile of them in the first-level cache while the taps are added up.
template <class F>
void loop_taps(const F& op, Range outer, Range inner) {
  constexpr Index kTile = 256;
  const auto radix = op.radix();
  auto at = radix.split(outer.begin);
  using T = std::remove_pointer_t<decltype(op.row(at))>;
  T sum[kTile];
  for (Index o = outer.begin; o < outer.end; ++o, radix.next(at)) {
    T* row = op.row(at);
    for (Index first = inner.begin; first < inner.end; first += kTile) {
      const Index count = std::min(kTile, inner.end - first);
      std::fill_n(sum, count, T(0));
      Digits<2> t{};
      for (Index tap = 0; tap < op.taps(); ++tap, op.kernel().next(t)) add_tap(op.tap(at, t), first, count, sum);
      store_tile(op, sum, count, row + first);
    }
  }
}

template <class F>
void run_part(const F& f, Range outer, Range inner, bool one_column) {
  if constexpr (requires { f.taps(); })
    loop_taps(f, outer, inner);
  else
    one_column ? loop_outer(f, outer) : loop(f, outer, inner);
}

/// Waking threads costs microseconds: only above about as much work. A launch with inner == 1 hides a loop per element.
inline int threads_for(Index outer, Index inner) {
  constexpr Index kElements = 32768, kRows = 2048;
  const bool large = inner == 1 ? outer > kRows : outer * inner > kElements;
  return large && !omp_in_parallel() ? omp_get_max_threads() : 1;
}

template <class F>
void run_elements(const F& f, Index outer, Index inner) {
  const int threads = threads_for(outer, inner);
  const bool split_outer = inner == 1 || outer >= 2 * threads;
  const Index parts = threads;
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
  for (Index p = 0; p < parts; ++p) {
    const Range o = split_outer ? part_of(outer, p, parts, 1) : Range{0, outer};
    const Range i = split_outer ? Range{0, inner} : part_of(inner, p, parts, 64);
    run_part(f, o, i, inner == 1);
  }
}

template <class T>
void CpuOps<T>::for_each(Index outer, Index inner, const ElementOp<T>& op) {
  if (outer <= 0 || inner <= 0) return;
  std::visit([&](const auto& f) { run_elements(f, outer, inner); }, op);
}

}  // namespace hso::detail
