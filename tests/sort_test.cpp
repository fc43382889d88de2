// SPDX-License-Identifier: Apache-2.0
//
// Sorting, selecting and permuting, against the standard library; and the order of scores that pruning reads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "backend/order_by_key.hpp"
#include "hsogpu/detail/arena.hpp"
#include "prune/select/ascending_scores.hpp"
#include "support/contexts.hpp"

namespace hso {
namespace {

using namespace detail;

class SortTest : public test::OnDevice {
 protected:
  template <class T>
  std::vector<Index> sorted(const std::vector<T>& x) {
    const Buffer<T> keys(context(), x);
    Buffer<Index> order(context(), keys.size());
    context().ops<T>().sort(keys.size(), keys.data(), order.data());
    return order.download();
  }
  std::vector<Index> permuted(Index n, std::uint64_t seed) {
    Buffer<Index> order(context(), n);
    context().ops<float>().permute(n, seed, order.data());
    return order.download();
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, SortTest, testing::ValuesIn(test::contexts()), test::device_word);

/// By `<`, for which -0 and +0 are equal, then what is not a number.
template <class T>
std::vector<Index> expected_order(const std::vector<T>& x) {
  std::vector<Index> order(x.size());
  std::iota(order.begin(), order.end(), Index{0});
  const auto at = [&](Index i) { return x[static_cast<std::size_t>(i)]; };
  const auto numbers = std::stable_partition(order.begin(), order.end(), [&](Index i) { return !std::isnan(at(i)); });
  std::stable_sort(order.begin(), numbers, [&](Index a, Index b) { return at(a) < at(b); });
  return order;
}

/// Numbers of which many are equal, with both zeros, infinities and NaN of both signs among them.
template <class T>
std::vector<T> awkward_numbers(Index n) {
  using Limits = std::numeric_limits<T>;
  const T special[] = {T(0),
                       -T(0),
                       Limits::infinity(),
                       -Limits::infinity(),
                       Limits::quiet_NaN(),
                       std::copysign(Limits::quiet_NaN(), T(-1)),
                       Limits::denorm_min(),
                       -Limits::denorm_min(),
                       Limits::max(),
                       Limits::lowest()};
  std::vector<T> x = test::normal_numbers<T>(n, 3);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i % 3 == 0) x[i] = std::round(8 * x[i]) / 8;
    if (i % 7 == 2) x[i] = special[i / 7 % std::size(special)];
  }
  return x;
}

TEST_P(SortTest, OrdersLikeAStableSortOfTheStandardLibrary) {
  test::for_types([&]<class T>() {
    for (const Index n : {0, 1, 2, 3, 32, 257, 4099, 100001}) {
      const std::vector<T> x = awkward_numbers<T>(n);
      EXPECT_EQ(sorted(x), expected_order(x)) << n << " numbers";
    }
  });
}

TEST_P(SortTest, EqualNumbersKeepTheirOrder) {
  std::vector<Index> places(1000);
  std::iota(places.begin(), places.end(), Index{0});
  EXPECT_EQ(sorted(std::vector<double>(1000, -2.5)), places);
  std::vector<float> zeros(1000, 0.0f);
  for (std::size_t i = 0; i < zeros.size(); i += 2) zeros[i] = -0.0f;
  EXPECT_EQ(sorted(zeros), places);
}

TEST_P(SortTest, SelectsThePlacesOfFlagsInOrder) {
  for (const Index n : {0, 1, 2, 33, 1000, 70001})
    for (const Index every : {1, 2, 7, 1000000}) {  // the last: none but the first, or none
      std::vector<std::uint8_t> flags(static_cast<std::size_t>(n), 0);
      std::vector<Index> expected;
      for (Index i = every == 1000000 ? 1 : 0; i < n; i += every) {
        flags[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(1 + i % 255);
        expected.push_back(i);
      }
      const Buffer<std::uint8_t> on_device(context(), flags);
      Buffer<Index> at(context(), static_cast<Index>(expected.size())), count(context(), 1);
      context().ops<double>().select(n, on_device.data(), at.data(), count.data());
      EXPECT_EQ(at.download(), expected) << n << " flags, every " << every;
      EXPECT_EQ(count.download()[0], static_cast<Index>(expected.size()));
    }
}

TEST_P(SortTest, PermutationsDependOnTheSeedAlone) {
  for (const Index n : {0, 1, 2, 129, 30001}) {
    const std::vector<Index> order = permuted(n, 11);
    std::vector<Index> host(order.size()), places(order.size());
    order_by_key(
        n, [](Index i) { return permutation_key(11, i); }, host.data());
    EXPECT_EQ(order, host) << n;
    std::iota(places.begin(), places.end(), Index{0});
    EXPECT_TRUE(std::is_permutation(order.begin(), order.end(), places.begin())) << n;
  }
  EXPECT_NE(permuted(129, 11), permuted(129, 12));
  Buffer<Index> wide(context(), 129);
  context().ops<double>().permute(129, 11, wide.data());
  EXPECT_EQ(wide.download(), permuted(129, 11)) << "the same whatever the elements";
}

TEST(PermutationTest, EveryOrderOfFourIsAsLikely) {
  std::map<std::vector<Index>, int> counts;
  std::vector<Index> order(4);
  for (std::uint64_t seed = 0; seed < 4800; ++seed) {
    order_by_key(
        4, [seed](Index i) { return permutation_key(seed, i); }, order.data());
    ++counts[order];
  }
  EXPECT_EQ(counts.size(), 24u);
  // 200 each with a standard deviation of 13.8: five of them.
  for (const auto& [found, count] : counts) EXPECT_NEAR(count, 200, 70);
}

/// A recorded sequence sorts what its memory holds now, not what it held when it was recorded.
TEST_P(SortTest, IsPartOfRecordedSequences) {
  constexpr Index n = 700;
  auto& ops = context().ops<float>();
  Buffer<float> x(context(), n);
  Buffer<Index> order(context(), n), random(context(), n), at(context(), n), count(context(), 1);
  Buffer<std::uint8_t> flags(context(), n);
  const auto launch = [&] {
    ops.sort(n, x.data(), order.data());
    ops.permute(n, 5, random.data());
    ops.select(n, flags.data(), at.data(), count.data());
  };
  const auto recorded = context().make_recorded();
  for (std::uint64_t round = 0; round < 4; ++round) {
    const std::vector<float> values = test::normal_numbers<float>(n, round);
    x.upload(values);
    flags.upload(std::vector<std::uint8_t>(n, round % 2));
    ops.for_each(1, n, Places<float>{random.data()});
    const std::uintptr_t key = context().arena().position();
    recorded->run({&key, 1}, launch);
    EXPECT_EQ(order.download(), expected_order(values)) << "round " << round;
    EXPECT_EQ(random.download(), permuted(n, 5)) << "round " << round;
    EXPECT_EQ(count.download()[0], round % 2 == 0 ? 0 : n) << "round " << round;
  }
}

TEST_P(SortTest, ScoresAscendPieceByPieceOverWhatIsRemovable) {
  constexpr Index n = 5003;
  std::vector<double> scores = test::normal_numbers<double>(n, 9);
  for (double& s : scores) s = std::round(100 * s) / 100;
  std::vector<std::uint8_t> removable(n);
  for (std::size_t i = 0; i < removable.size(); ++i) removable[i] = i % 5 != 1;
  const Buffer<double> on_device(context(), scores);
  AscendingScores ascending(context(), on_device, removable, 10);
  for (const Index j : expected_order(scores)) {
    if (removable[static_cast<std::size_t>(j)] == 0) continue;
    const std::optional<Removal> next = ascending.next();
    ASSERT_TRUE(next.has_value());
    ASSERT_EQ(next->parameter, j);
    ASSERT_EQ(next->predicted, scores[static_cast<std::size_t>(j)]);
  }
  EXPECT_FALSE(ascending.next().has_value());
  EXPECT_FALSE(AscendingScores(context(), on_device, std::vector<std::uint8_t>(n, 0), 10).next().has_value());
}

}  // namespace
}  // namespace hso
