// SPDX-License-Identifier: Apache-2.0
//
// The index arithmetic of the kernels, callable on the host too, where the tests check it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "hsogpu/core/types.hpp"
#include "hsogpu/detail/hd.hpp"

namespace hso::detail {

constexpr Index kFlatLimit = Index{1} << 31;  // flat 32-bit indices stay below this

HSO_HD inline std::uint32_t multiply_high(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(a) * b) >> 32);
}

/// n / d for n < 2^31 by one multiplication; Granlund and Montgomery, "Division by invariant integers using
/// multiplication", PLDI 1994, figure 4.1. d in [1, 2^31].
class FastDivisor {
 public:
  FastDivisor() = default;  ///< by 1
  explicit FastDivisor(std::uint32_t d) {
    while ((std::uint64_t{1} << shift_) < d) ++shift_;
    magic_ = static_cast<std::uint32_t>(((std::uint64_t{1} << 32) * ((std::uint64_t{1} << shift_) - d)) / d + 1);
  }
  HSO_HD std::uint32_t divide(std::uint32_t n) const { return (multiply_high(n, magic_) + n) >> shift_; }

 private:
  std::uint32_t magic_ = 1, shift_ = 0;
};

/// Thread blocks for `count` < 2^31 threads: small blocks where there is too little for every multiprocessor.
struct BlockPlan {
  unsigned blocks, threads;
};
inline BlockPlan block_plan(Index count, int multiprocessors) {
  constexpr Index kSmall = 64, kLarge = 256;
  const Index threads = count >= 2 * kLarge * multiprocessors ? kLarge : kSmall;
  return {static_cast<unsigned>((count + threads - 1) / threads), static_cast<unsigned>(threads)};
}

constexpr Index ceil_divide(Index a, Index b) { return (a + b - 1) / b; }

/// The least power of two >= n, within [1, limit]; limit is a power of two.
constexpr int power_of_two_above(Index n, int limit) {
  int p = 1;
  while (p < n && p < limit) p *= 2;
  return p;
}

/// Piece `part` of `parts` of [0, n): all but the last have the same length, none overlap.
struct Range {
  Index begin, end;
};
HSO_HD inline Range part_of(Index n, Index parts, Index part) {
  const Index length = (n + parts - 1) / parts;
  const Index begin = part * length < n ? part * length : n;
  const Index end = begin + length < n ? begin + length : n;
  return {begin, end};
}

/// How many pieces a reduction of length n is cut into: enough blocks to fill a large device, at least `grain` elements
/// a piece. It depends on the shape alone, so the summation order is the same on every device.
constexpr Index reduction_parts(Index n, Index blocks_each, Index grain) {
  constexpr Index kBlocks = 1024;
  const Index wanted = ceil_divide(kBlocks, std::max<Index>(1, blocks_each));
  return std::clamp<Index>(n / grain, 1, wanted);
}

}  // namespace hso::detail
