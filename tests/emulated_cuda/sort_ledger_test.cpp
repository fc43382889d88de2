// SPDX-License-Identifier: Apache-2.0
//
// What sorting asks of the host, counted on the emulated device: nothing leaves the device but what is read.
#include <gtest/gtest.h>

#include "emulated.hpp"
#include "hsogpu/detail/ops.hpp"
#include "prune/select/ascending_scores.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

using detail::AscendingScores;

constexpr Index kMany = 1000000;

TEST(EmulatedSort, SortsAMillionScoresWithoutACopyOrAWait) {
  const auto context = Context::create("cuda");
  auto& ops = context->ops<double>();
  Buffer<double> scores(*context, kMany);
  Buffer<Index> order(*context, kMany);
  ops.for_each(1, kMany, detail::RandomFill<double>{scores.data(), 1, 2, detail::Distribution::normal, 0, 1});
  emulated::reset_ledger();
  ops.sort(kMany, scores.data(), order.data());
  const emulated::Ledger ledger = emulated::ledger();
  EXPECT_EQ(ledger.copies, 0);
  EXPECT_EQ(ledger.waits, 0);
  EXPECT_EQ(ledger.launches, 1) << "the keys";
  EXPECT_EQ(ledger.library_calls, 1);
  const std::vector<double> x = scores.download();
  const std::vector<Index> sorted = order.download();
  for (std::size_t i = 1; i < sorted.size(); ++i)
    ASSERT_LT(x[static_cast<std::size_t>(sorted[i - 1])], x[static_cast<std::size_t>(sorted[i])]) << i;
}

TEST(EmulatedSort, OfScoresTheHostReadsWhatItRemoves) {
  const auto context = Context::create("cuda");
  constexpr Index kWanted = 2000;
  Buffer<double> scores(*context, kMany);
  context->ops<double>().for_each(1, kMany,
                                  detail::RandomFill<double>{scores.data(), 1, 2, detail::Distribution::uniform, 0, 1});
  emulated::reset_ledger();
  AscendingScores ascending(*context, scores, std::vector<std::uint8_t>(kMany, 1), kWanted);
  for (Index i = 0; i < kWanted; ++i) ASSERT_TRUE(ascending.next().has_value());
  EXPECT_EQ(emulated::ledger().copied_bytes, kMany + 16 * kWanted) << "a flag a score, then numbers and places";
}

TEST(EmulatedSort, AnEpochsOrderIsMadeWithoutACopyOrAWait) {
  const auto context = Context::create("cuda");
  Setting<float> s(*context, "mlp:5-6-3:tanh", LossKind::cross_entropy, 40);
  auto f = s.objective({12, 1});
  f.shuffle(1);
  emulated::reset_ledger();
  f.shuffle(2);
  EXPECT_EQ(emulated::ledger().copies, 0);
  EXPECT_EQ(emulated::ledger().waits, 0);
}

}  // namespace
}  // namespace hso::test
