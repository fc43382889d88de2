// SPDX-License-Identifier: Apache-2.0
//
// How the threads of a launch find their elements, in 32-bit arithmetic and without division. Callable on the host too,
// where the tests check it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/elements/digits.hpp"
#include "index_math.hpp"

namespace hso::detail {

/// The rows of one launch, named as the functor names them: by numbers (N = 1), or by N coordinates.
template <int N>
struct RowMap;

template <>
struct RowMap<1> {
  Index first;
  HSO_HD Index at(std::uint32_t row) const { return first + static_cast<Index>(row); }
  Index most_rows() const { return kFlatLimit - 1; }
};

/// Counts from the start of lane `lane`; a lane is what the fastest N - 1 coordinates make up.
template <int N>
struct RowMap {
  Index lane = 0;
  std::uint32_t first = 0, extent[N - 1];
  FastDivisor by[N - 1];

  RowMap(const Radix<N>& radix, Index row) {
    Index lane_rows = 1;
    for (int i = 0; i < N - 1; ++i) {
      if (radix.extent[i] > (kFlatLimit - 1) / lane_rows)
        throw InputError("for_each: a lane has 2^31 rows or more, expected fewer");
      lane_rows *= radix.extent[i];
      extent[i] = static_cast<std::uint32_t>(radix.extent[i]);
      by[i] = FastDivisor(extent[i]);
    }
    lane = row / lane_rows;
    first = static_cast<std::uint32_t>(row % lane_rows);
  }
  HSO_HD Digits<N> at(std::uint32_t row) const {
    Digits<N> digits{};
    std::uint32_t left = first + row;
    for (int i = 0; i < N - 1; ++i) {
      const std::uint32_t rest = by[i].divide(left);
      digits.d[i] = static_cast<Index>(left - rest * extent[i]);
      left = rest;
    }
    digits.d[N - 1] = lane + static_cast<Index>(left);
    return digits;
  }
  Index most_rows() const { return kFlatLimit - 1 - static_cast<Index>(first); }
};

template <class F>
constexpr int coordinates() {
  if constexpr (SplitsRows<F>)
    return decltype(std::declval<F>().radix())::kDigits;
  else
    return 1;
}

template <class F>
RowMap<coordinates<F>()> row_map(const F& f, Index first) {
  if constexpr (SplitsRows<F>)
    return {f.radix(), first};
  else
    return {first};
}

/// Elements [begin, begin + length) of some rows. In each row the first `packs` threads take Wide elements, and the
/// others one each of what is left; consecutive threads take what is consecutive in memory.
template <int N, int Wide>
struct ElementMap {
  std::uint32_t threads, row_threads, packs;
  FastDivisor by_row;
  Index begin;
  RowMap<N> rows;

  ElementMap(const RowMap<N>& some, Index count, Index from, Index length)
      : threads(static_cast<std::uint32_t>(count * (length / Wide + length % Wide))),
        row_threads(static_cast<std::uint32_t>(length / Wide + length % Wide)),
        packs(static_cast<std::uint32_t>(length / Wide)),
        by_row(row_threads),
        begin(from),
        rows(some) {}

  struct Place {
    std::uint32_t row, thread;  ///< within the launch, within the row
  };
  HSO_HD Place at(std::uint32_t thread) const {
    const std::uint32_t row = by_row.divide(thread);
    return {row, thread - row * row_threads};
  }
  HSO_HD bool takes_pack(const Place& at) const { return at.thread < packs; }
  HSO_HD Index pack_start(const Place& at) const { return begin + static_cast<Index>(at.thread * Wide); }
  HSO_HD Index single(const Place& at) const { return begin + static_cast<Index>(at.thread + packs * (Wide - 1)); }
};

/// body(map) for launches that together cover outer x inner; each has fewer than 2^31 threads.
template <int Wide, class F, class Body>
void each_launch(const F& f, Index outer, Index inner, const Body& body) {
  constexpr Index kLongest = kFlatLimit / 2;
  for (Index first = 0; first < outer;) {
    const auto rows = row_map(f, first);
    const Index fitting = inner > kLongest ? 1 : (kFlatLimit - 1) / inner;
    const Index count = std::min({outer - first, fitting, rows.most_rows()});
    for (Index begin = 0; begin < inner; begin += kLongest)
      body(ElementMap<coordinates<F>(), Wide>(rows, count, begin, std::min(inner - begin, kLongest)));
    first += count;
  }
}

}  // namespace hso::detail
