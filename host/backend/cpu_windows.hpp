// SPDX-License-Identifier: Apache-2.0
//
// Pooling by windows that lie side by side, as for_each runs it on a CPU: whole rows, without a search for the windows
// of each element, and as vectors where windows are two wide. Other windows go the way of all functors
// (cpu_for_each.hpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "backend/range.hpp"
#include "hsogpu/detail/elements/pool.hpp"

namespace hso::detail {

inline bool side_by_side(const PoolAxis& a) { return !a.adaptive && a.pad == 0 && a.stride == a.kernel; }

/// body(height, width) with the extents of a window, constants where both are two.
template <class Body>
inline void with_extents(const PoolGeometry& g, const Body& body) {
  using Two = std::integral_constant<Index, 2>;
  if (g.y.kernel == 2 && g.x.kernel == 2)
    body(Two(), Two());
  else
    body(g.y.kernel, g.x.kernel);
}

template <class T>
inline void set_or_add(T* to, T value, bool accumulate) {
  *to = accumulate ? *to + value : value;
}

/// One row of outputs from the rows of inputs that begin at x.
template <class T>
void mean_of_windows(const PoolGeometry& g, const T* x, T divisor, bool accumulate, T* y) {
  with_extents(g, [&](auto height, auto width) {
    for (Index j = 0; j < g.x.out; ++j) {
      T sum = 0;
      for (Index i = 0; i < height; ++i)
        for (Index k = 0; k < width; ++k) sum += x[i * g.x.in + j * width + k];
      set_or_add(y + j, sum / divisor, accumulate);
    }
  });
}

/// The same of MaxPoolValue; x lies at `place` of its plane.
template <class T>
void max_of_windows(const PoolGeometry& g, const T* x, std::int32_t place, T* y, std::int32_t* where) {
  const auto in = static_cast<std::int32_t>(g.x.in);
  with_extents(g, [&](auto height, auto width) {
    for (std::int32_t j = 0; j < static_cast<std::int32_t>(g.x.out); ++j) {
      std::int32_t best = j * static_cast<std::int32_t>(width);
      T top = x[best];
      for (std::int32_t i = 0; i < height; ++i)
        for (std::int32_t k = 0; k < width; ++k) {
          const std::int32_t at = i * in + j * static_cast<std::int32_t>(width) + k;
          const T v = x[at];
          const bool better = v > top || v != v;
          best = better ? at : best;
          top = better ? v : top;
        }
      y[j] = top;
      where[j] = place + best;
    }
  });
}

/// One row of inputs: each takes its window's number.
template <class T>
void spread_over_windows(const PoolGeometry& g, const T* dy, T divisor, bool accumulate, T* dx) {
  with_extents(g, [&](auto, auto width) {
#pragma omp simd
    for (Index j = 0; j < g.x.out; ++j) {
      const T value = dy[j] / divisor;
      for (Index k = 0; k < width; ++k) set_or_add(dx + j * width + k, value, accumulate);
    }
  });
}

/// One row of inputs, the first at `place` of its plane: those that were chosen take their window's number.
template <class T>
void spread_to_chosen(const PoolGeometry& g, const T* dy, const std::int32_t* where, std::int32_t place,
                      bool accumulate, T* dx) {
  with_extents(g, [&](auto, auto width) {
#pragma omp simd
    for (std::int32_t j = 0; j < static_cast<std::int32_t>(g.x.out); ++j) {
      const T value = dy[j];
      const std::int32_t chosen = where[j] - place - j * static_cast<std::int32_t>(width);
      for (std::int32_t k = 0; k < width; ++k) set_or_add(dx + j * width + k, chosen == k ? value : T(0), accumulate);
    }
  });
}

/// Inputs behind the last window.
template <class T>
void clear_rest(const PoolGeometry& g, bool in_window, bool accumulate, T* dx) {
  if (!accumulate) std::fill(dx + (in_window ? g.x.out * g.x.kernel : 0), dx + g.x.in, T(0));
}

/// body(f, coordinates) for every row, or false where the windows are of another kind.
template <class F, class Body>
bool each_row_of_windows(F f, Range outer, const Body& body) {
  if (!side_by_side(f.g.y) || !side_by_side(f.g.x)) return false;
  const auto radix = f.radix();
  auto at = radix.split(outer.begin);
  for (Index o = outer.begin; o < outer.end; ++o, radix.next(at)) body(f, at);
  return true;
}

template <class T>
bool loop_windows(const BoxMean<T>& op, Range outer) {
  return each_row_of_windows(op, outer, [](const auto& f, const auto& at) {
    mean_of_windows(f.g, f.x + at[2] * f.x_stride + at[1] * f.g.in() + at[0] * f.g.y.kernel * f.g.x.in, f.divisor(),
                    f.accumulate, f.row(at));
  });
}

template <class T>
bool loop_windows(const BoxSpread<T>& op, Range outer) {
  return each_row_of_windows(op, outer, [](const auto& f, const auto& at) {
    const Index oy = at[0] / f.g.y.kernel;
    const T* dy = f.dy + at[2] * f.dy_stride + at[1] * f.g.out() + oy * f.g.x.out;
    if (oy < f.g.y.out) spread_over_windows(f.g, dy, f.divisor(), f.accumulate, f.row(at));
    clear_rest(f.g, oy < f.g.y.out, f.accumulate, f.row(at));
  });
}

template <class T>
bool loop_windows(const MaxPoolValue<T>& op, Range outer) {
  return each_row_of_windows(op, outer, [](const auto& f, const auto& at) {
    const Index place = at[0] * f.g.y.kernel * f.g.x.in, row = (at[1] * f.g.y.out + at[0]) * f.g.x.out;
    max_of_windows(f.g, f.x + at[1] * f.g.in() + place, static_cast<std::int32_t>(place), f.y + row, f.where + row);
  });
}

template <class T>
bool loop_windows(const MaxPoolVjp<T>& op, Range outer) {
  return each_row_of_windows(op, outer, [](const auto& f, const auto& at) {
    const Index oy = at[0] / f.g.y.kernel, row = at[1] * f.g.out() + oy * f.g.x.out, place = at[0] * f.g.x.in;
    T* dx = f.dx + at[2] * f.dx_stride + at[1] * f.g.in() + place;
    if (oy < f.g.y.out)
      spread_to_chosen(f.g, f.dy + at[2] * f.dy_stride + row, f.where + row, static_cast<std::int32_t>(place),
                       f.accumulate, dx);
    clear_rest(f.g, oy < f.g.y.out, f.accumulate, dx);
  });
}

}  // namespace hso::detail
