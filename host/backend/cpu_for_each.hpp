// SPDX-License-Identifier: Apache-2.0
//
// for_each on the CPU. The functor is copied to a local, so that no store can alias its members, and the loop that runs
// along memory is the innermost one; sums of shifted rows (elements/taps.hpp) go tap by tap, pools of windows side
// by side as they lie (cpu_windows.hpp). Elements are independent by contract, which is what `omp simd` asserts.
// Included by one translation unit for each type: some sixty functors are compiled here.
#pragma once

#include <omp.h>

#include <algorithm>
#include <type_traits>

#include "backend/cpu_ops.hpp"
#include "backend/cpu_windows.hpp"
#include "backend/range.hpp"

namespace hso::detail {

/// body(f) with `accumulate` and `split` constants in each copy: a select on a loop-invariant bool keeps GCC from
/// vectorising.
template <class F, class Body>
[[gnu::always_inline]] inline void unswitched_from_split(F f, const Body& body) {
  if constexpr (requires { f.split; }) {
    if (f.split) {
      f.split = true;
      body(f);
      return;
    }
    f.split = false;
  }
  body(f);
}
template <class F, class Body>
[[gnu::always_inline]] inline void unswitched(F f, const Body& body) {
  if constexpr (requires { f.accumulate; }) {
    if (f.accumulate) {
      f.accumulate = true;
      unswitched_from_split(f, body);
      return;
    }
    f.accumulate = false;
  }
  unswitched_from_split(f, body);
}

// flatten: a functor that the compiler chose to call instead of inlining would keep its loop scalar.
template <class F>
[[gnu::flatten]] void loop(const F& op, Range outer, Range inner) {
  unswitched(op, [=](F f) {
    auto at = row_at(f, outer.begin);
    for (Index o = outer.begin; o < outer.end; ++o, next_row(f, at)) {
#pragma omp simd
      for (Index i = inner.begin; i < inner.end; ++i) run_element(f, at, i);
    }
  });
}

/// body(at, range) for rows that differ in the fastest coordinate alone, which runs over the range.
template <class F, class Body>
[[gnu::always_inline]] inline void each_run(const F& f, Range outer, const Body& body) {
  auto at = row_at(f, outer.begin);
  const Index extent = f.radix().extent[0];
  for (Index o = outer.begin; o < outer.end; next_row(f, at)) {
    const Range fastest{at[0], std::min(extent, at[0] + outer.end - o)};
    body(at, fastest);
    o += fastest.end - fastest.begin;
    at.d[0] = fastest.end - 1;
  }
}

template <class F>
[[gnu::flatten]] void loop_outer(const F& op, Range outer) {
  unswitched(op, [=](F f) {
    if constexpr (SplitsRows<F>) {
      each_run(f, outer, [&](auto at, Range fastest) {
#pragma omp simd
        for (Index d = fastest.begin; d < fastest.end; ++d) {
          auto row = at;
          row.d[0] = d;
          run_element(f, row, 0);
        }
      });
    } else {
#pragma omp simd
      for (Index o = outer.begin; o < outer.end; ++o) run_element(f, o, 0);
    }
  });
}

/// sum[j out_step + shift] += in[j in_step + in_shift] over a range of one tap.
template <class T>
inline void add_tap(const Tap<T>& tap, TapRange range, Index shift, T* sum) {
  if (tap.in_step == 1 && tap.out_step == 1) {
#pragma omp simd
    for (Index j = range.begin; j < range.end; ++j) sum[j + shift] += tap.in[j + tap.in_shift];
  } else {
    for (Index j = range.begin; j < range.end; ++j)
      sum[j * tap.out_step + shift] += tap.in[j * tap.in_step + tap.in_shift];
  }
}

/// The part of a tap's range that falls into elements [first, first + count) of the row.
template <class T>
inline TapRange part_of_tap(const Tap<T>& tap, Index first, Index count) {
  const TapRange tile = tap_range(tap.range.end, tap.out_step, tap.out_shift - first, count);
  return {std::max(tap.range.begin, tile.begin), tile.end};
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

/// Elements [first, first + count) of the row at `at`, summed in the first-level cache.
template <class F, class At, class T>
inline void sum_tile(const F& op, const At& at, Index first, Index count, bool whole_row, T* sum) {
  std::fill_n(sum, count, T(0));
  const Radix<2> kernel = op.kernel();
  const Index taps = op.taps();
  Digits<2> t{};
  for (Index i = 0; i < taps; ++i, kernel.next(t)) {
    const Tap<T> tap = op.tap(at, t);
    if (tap.range.begin >= tap.range.end) continue;
    add_tap(tap, whole_row ? tap.range : part_of_tap(tap, first, count), tap.out_shift - first, sum);
  }
  store_tile(op, sum, count, op.row(at) + first);
}

/// A row with one source, which is copied.
template <class T>
inline void copy_row(const Tap<T>& tap, Range inner, T* row) {
  const Index begin = std::clamp(tap.range.begin, inner.begin, inner.end);
  const Index end = std::clamp(tap.range.end, begin, inner.end);
  std::fill(row + inner.begin, row + begin, T(0));
  if (tap.in_step == 1) {
#pragma omp simd
    for (Index j = begin; j < end; ++j) row[j] = tap.in[j + tap.in_shift];
  } else {
    for (Index j = begin; j < end; ++j) row[j] = tap.in[j * tap.in_step + tap.in_shift];
  }
  std::fill(row + end, row + inner.end, T(0));
}

/// Functors that say at compile time that every row has one source, spaced by one in the row and not added to.
template <class F>
concept CopiesRows = requires {
  requires F::kCopiesRows;
};

template <class F>
void loop_taps(const F& op, Range outer, Range inner, bool whole_rows) {
  constexpr Index kTile = 256;
  const auto radix = op.radix();
  auto at = radix.split(outer.begin);
  using T = std::remove_pointer_t<decltype(op.row(at))>;
  const bool one_tile = whole_rows && inner.end <= kTile;
  T sum[kTile];
  for (Index o = outer.begin; o < outer.end; ++o, radix.next(at)) {
    if constexpr (CopiesRows<F>)
      copy_row(op.tap(at, {}), inner, op.row(at));
    else
      for (Index first = inner.begin; first < inner.end; first += kTile)
        sum_tile(op, at, first, std::min(kTile, inner.end - first), one_tile, sum);
  }
}

template <class F>
void run_part(const F& f, Range outer, Range inner, Index columns) {
  [[maybe_unused]] const bool whole_rows = inner.end - inner.begin == columns;
  if constexpr (requires { loop_windows(f, outer); }) {
    if (whole_rows && loop_windows(f, outer)) return;
  }
  if constexpr (requires { f.taps(); })
    loop_taps(f, outer, inner, whole_rows);
  else
    columns == 1 ? loop_outer(f, outer) : loop(f, outer, inner);
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
    run_part(f, o, i, inner);
  }
}

/// Scalars in device memory are read once, so that the loop is that of the functor they belong to.
template <class F>
void run_now(const F& f, Index outer, Index inner) {
  if constexpr (requires { f.now(); })
    run_elements(f.now(), outer, inner);
  else
    run_elements(f, outer, inner);
}
template <class F>
void run_now(const Guarded<F>& guarded, Index outer, Index inner) {
  if (*guarded.go != 0) run_now(guarded.f, outer, inner);
}

template <class T>
void CpuOps<T>::for_each(Index outer, Index inner, const ElementOp<T>& op) {
  const InUse in_use(context_);
  if (outer <= 0 || inner <= 0) return;
  op.visit([&](const auto& f) { run_now(f, outer, inner); });
}

}  // namespace hso::detail
