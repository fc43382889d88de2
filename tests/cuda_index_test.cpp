// SPDX-License-Identifier: Apache-2.0
//
// The index arithmetic of the CUDA kernels, which is plain C++.
#include <gtest/gtest.h>

#include <random>

#include "index_math.hpp"
#include "kernel_architectures.hpp"

namespace hso::detail {
namespace {

TEST(CudaIndex, FastDivisionIsDivision) {
  constexpr std::uint32_t kTop = 0x7FFFFFFFu;
  std::mt19937 generator(1);
  const auto engine = [&] { return static_cast<std::uint32_t>(generator()); };
  std::vector<std::uint32_t> divisors{1, 2, 3, 5, 7, 10, 31, 32, 33, 784, 0x7FFFFFFEu, kTop, 0x80000000u};
  for (int i = 0; i < 2000; ++i) divisors.push_back((engine() >> (engine() % 31)) % 0x80000000u + 1);
  for (std::uint32_t d : divisors) {
    const FastDivisor fast(d);
    for (std::uint32_t n : {0u, 1u, d - 1, d, d + 1, kTop / d * d, kTop / d * d - 1, kTop, engine() & kTop})
      if (n <= kTop) {
        ASSERT_EQ(fast.divide(n), n / d) << n << " / " << d;
      }
  }
}

TEST(CudaIndex, MapsVisitEveryElementOnceAndInOrder) {
  for (const auto& [outer, inner] : {std::pair<Index, Index>{1, 1}, {1, 1000}, {7, 1}, {5, 3}, {64, 10}, {3, 257}}) {
    Index expected = 0;
    for (Index first = 0; first < outer;) {
      const ElementMap map = element_map(first, outer, inner);
      for (Index e = 0; e < map.count; ++e, ++expected) {
        const ElementIndex at = map.at(e);
        ASSERT_EQ(at.outer * inner + at.inner, expected);
        ASSERT_TRUE(at.inner >= 0 && at.inner < inner);
      }
      first += map.count / inner;
    }
    EXPECT_EQ(expected, outer * inner);
  }
}

TEST(CudaIndex, LaunchesStayBelowThirtyTwoBitsUnlessTheyAreOneRow) {
  for (const auto& [outer, inner] : {std::pair<Index, Index>{Index{1} << 33, 3},
                                     {100, Index{1} << 27},
                                     {3, kFlatLimit},
                                     {2, kFlatLimit - 1},
                                     {1, Index{1} << 40}}) {
    Index rows = 0;
    while (rows < outer) {
      const ElementMap map = element_map(rows, outer, inner);
      ASSERT_TRUE(map.count < kFlatLimit || map.single_row);
      ASSERT_EQ(map.count % inner, 0);
      const ElementIndex last = map.at(map.count - 1);
      EXPECT_EQ(last.outer, rows + map.count / inner - 1);
      EXPECT_EQ(last.inner, inner - 1);
      rows += map.count / inner;
    }
    EXPECT_EQ(rows, outer);
  }
}

TEST(CudaIndex, BlocksCoverSmallCountsAndStayBounded) {
  for (Index count : {Index{1}, Index{63}, Index{64}, Index{65}, Index{100000}, Index{1} << 40}) {
    const BlockPlan plan = block_plan(count, 132);
    EXPECT_GE(plan.blocks, 1u);
    EXPECT_LE(plan.threads, 256u);
    EXPECT_LE(plan.blocks, 132u * 128u);
    if (plan.blocks < 132u * 128u) {
      EXPECT_GE(static_cast<Index>(plan.blocks) * plan.threads, count);
    }
  }
}

TEST(CudaIndex, PartsCoverARangeWithoutOverlap) {
  for (Index n : {0, 1, 5, 100, 1023, 4096})
    for (Index parts : {1, 2, 3, 7, 100, 1024}) {
      Index next = 0;
      for (Index p = 0; p < parts; ++p) {
        const Range range = part_of(n, parts, p);
        ASSERT_EQ(range.begin, next);
        ASSERT_LE(range.begin, range.end);
        next = range.end;
      }
      ASSERT_EQ(next, n);
    }
}

TEST(CudaIndex, ReductionsAreCutOnlyWhereThereIsEnough) {
  EXPECT_EQ(reduction_parts(0, 1, 2048), 1);
  EXPECT_EQ(reduction_parts(4095, 1, 2048), 1);
  EXPECT_EQ(reduction_parts(4096, 1, 2048), 2);
  EXPECT_EQ(reduction_parts(Index{1} << 40, 1, 2048), 1024);
  EXPECT_EQ(reduction_parts(Index{1} << 40, 5000, 2048), 1);
}

TEST(CudaIndex, CodeRunsOnItsGenerationAndTheNewestOnLaterOnes) {
  constexpr int kBuilt[] = {750, 800, 900};
  for (int capability : {750, 800, 860, 890, 900, 1000, 1200})
    EXPECT_TRUE(can_run_on(kBuilt, capability)) << capability;
  for (int capability : {600, 700}) EXPECT_FALSE(can_run_on(kBuilt, capability)) << capability;
  constexpr int kOne[] = {900};
  EXPECT_FALSE(can_run_on(kOne, 890));
}

}  // namespace
}  // namespace hso::detail
