// SPDX-License-Identifier: Apache-2.0
//
// The index arithmetic of the CUDA kernels, which is plain C++.
#include <gtest/gtest.h>

#include <random>

#include "element_map.hpp"
#include "hsogpu/detail/element_ops.hpp"
#include "index_math.hpp"
#include "kernel_architectures.hpp"
#include "packs.hpp"

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

/// Rows with the coordinates of a radix, or with numbers alone.
struct Numbered {};
struct Split {
  Radix<3> extents;
  Radix<3> radix() const { return extents; }
};

Index number_of(Index row, const Numbered&) { return row; }
Index number_of(const Digits<3>& at, const Split& f) {
  const Radix<3>& r = f.extents;
  EXPECT_TRUE(at[0] >= 0 && at[0] < r.extent[0] && at[1] >= 0 && at[1] < r.extent[1]);
  return (at[2] * r.extent[1] + at[1]) * r.extent[0] + at[0];
}

/// How often each element of outer x inner is taken, in launches whose threads take up to Wide elements.
template <int Wide, class F>
std::vector<int> visits(const F& f, Index outer, Index inner) {
  std::vector<int> times(static_cast<std::size_t>(outer * inner));
  each_launch<Wide>(f, outer, inner, [&](const auto& map) {
    for (std::uint32_t thread = 0; thread < map.threads; ++thread) {
      const auto at = map.at(thread);
      const Index row = number_of(map.rows.at(at.row), f), count = map.takes_pack(at) ? Wide : 1;
      const Index first = map.takes_pack(at) ? map.pack_start(at) : map.single(at);
      EXPECT_EQ(map.takes_pack(at) ? first % Wide : 0, 0);
      for (Index i = first; i < first + count; ++i) ++times.at(static_cast<std::size_t>(row * inner + i));
    }
  });
  return times;
}

TEST(CudaIndex, LaunchesVisitEveryElementOnce) {
  const Split f{{{3, 2}}};
  for (const auto& [outer, inner] : {std::pair<Index, Index>{1, 1}, {1, 1000}, {7, 1}, {5, 3}, {64, 10}, {3, 257}}) {
    const std::vector<int> once(static_cast<std::size_t>(outer * inner), 1);
    EXPECT_EQ((visits<1>(Numbered{}, outer, inner)), once);
    EXPECT_EQ((visits<4>(Numbered{}, outer, inner)), once);
    EXPECT_EQ((visits<1>(f, outer, inner)), once);
    EXPECT_EQ((visits<2>(f, outer, inner)), once);
  }
}

/// The launches of a large shape meet: each begins where the one before ended.
template <int Wide, class F>
void expect_launches_in_a_row(const F& f, Index outer, Index inner) {
  Index row = 0, begin = 0;
  each_launch<Wide>(f, outer, inner, [&](const auto& map) {
    ASSERT_TRUE(map.threads > 0 && map.threads < kFlatLimit);
    const auto last = map.at(map.threads - 1);
    EXPECT_EQ(number_of(map.rows.at(map.at(0).row), f), row);
    EXPECT_EQ(number_of(map.rows.at(last.row), f), row + last.row);
    EXPECT_EQ(map.takes_pack(map.at(0)) ? map.pack_start(map.at(0)) : map.single(map.at(0)), begin);
    begin = map.takes_pack(last) ? map.pack_start(last) + Wide : map.single(last) + 1;
    if (begin < inner) return;
    row += static_cast<Index>(last.row) + 1;
    begin = 0;
  });
  EXPECT_EQ(row, outer);
}

TEST(CudaIndex, LaunchesOfLargeShapesStayBelowThirtyTwoBitsAndMeet) {
  for (const auto& [outer, inner] : {std::pair<Index, Index>{Index{1} << 33, 3},
                                     {100, Index{1} << 27},
                                     {3, kFlatLimit},
                                     {2, kFlatLimit - 1},
                                     {1, (Index{1} << 40) + 5}}) {
    expect_launches_in_a_row<1>(Numbered{}, outer, inner);
    expect_launches_in_a_row<4>(Numbered{}, outer, inner);
    expect_launches_in_a_row<4>(Split{{{1000, 70001}}}, outer, inner);
    expect_launches_in_a_row<1>(Split{{{kFlatLimit - 1, 1}}}, outer, inner);
  }
  EXPECT_THROW(each_launch<1>(Split{{{Index{1} << 20, Index{1} << 11}}}, 5, 5, [](const auto&) {}), InputError);
}

TEST(CudaIndex, BlocksCoverTheirThreads) {
  for (Index count : {Index{1}, Index{63}, Index{64}, Index{65}, Index{100000}, kFlatLimit - 1}) {
    const BlockPlan plan = block_plan(count, 132);
    EXPECT_LE(plan.threads, 256u);
    const Index threads = static_cast<Index>(plan.blocks) * plan.threads;
    EXPECT_TRUE(threads >= count && threads < count + plan.threads);
  }
}

/// y[lane][row][i] = x[i] with rows at distances that the test chooses.
AddToRows<float> rows_at(const float* x, float* y, Index lane_stride, Index cols) {
  return {x, 0, y, lane_stride, 3, cols, false};
}

TEST(CudaIndex, PacksNeedRowsThatAllStartOnSixteenBytes) {
  alignas(16) float x[8], y[64];
  EXPECT_TRUE(rows_are_aligned<4>(rows_at(x, y, 12, 4), 6));
  EXPECT_FALSE(rows_are_aligned<4>(rows_at(x + 1, y, 12, 4), 6));
  EXPECT_FALSE(rows_are_aligned<4>(rows_at(x, y + 2, 12, 4), 6));
  EXPECT_FALSE(rows_are_aligned<4>(rows_at(x, y, 12, 5), 6));
  EXPECT_TRUE(rows_are_aligned<4>(rows_at(x, y, 12, 5), 1)) << "one row, whatever follows it";
  EXPECT_FALSE(rows_are_aligned<4>(rows_at(x, y, 13, 4), 6));
  EXPECT_TRUE(rows_are_aligned<4>(rows_at(x, y, 13, 4), 3)) << "one lane";
}

TEST(CudaIndex, PacksGiveWhatElementsGive) {
  for (const bool accumulate : {false, true}) {
    alignas(16) float x[8], packed[64], single[64];
    for (int i = 0; i < 64; ++i) packed[i] = single[i] = static_cast<float>(i);
    for (int i = 0; i < 8; ++i) x[i] = 0.5f * static_cast<float>(i);
    AddToRows<float> f = rows_at(x, packed, 12, 4), g = rows_at(x, single, 12, 4);
    f.accumulate = g.accumulate = accumulate;
    const Digits<2> at{{2, 1}};
    run_pack<4>(f, at, 0);
    for (Index i = 0; i < 4; ++i) run_element(g, at, i);
    for (int i = 0; i < 64; ++i) EXPECT_EQ(packed[i], single[i]) << i;
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
