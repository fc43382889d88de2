// SPDX-License-Identifier: Apache-2.0
//
// What a queued step costs on a CUDA device, counted: two launches, a CUDA graph, no wait and no copy.
#include <gtest/gtest.h>

#include <numeric>

#include "emulated.hpp"
#include "hsogpu/optim/step_queue.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

struct Method {
  const char* name;
  OptimizerSettings settings;
  std::vector<std::string> wrappers{};
};

constexpr Index kRows = 40, kBatch = 12, kWarm = 4;

/// The ledger of `count` steps behind those that warm up and record.
emulated::Ledger ledger_of(const Method& m, Index count) {
  const auto context = Context::create("cuda");
  Setting<float> s(*context, "mlp:5-6-3:tanh", LossKind::cross_entropy, kRows);
  auto f = s.objective({kBatch, 1, 0.01});
  const auto optimizer = make_wrapped<float>(make_optimizer<float>(m.name, m.settings), m.wrappers);
  StepQueue<float> queue(*context, *optimizer);
  std::vector<Index> order(kRows);
  std::iota(order.begin(), order.end(), Index{0});
  f.set_order(order);
  for (Index step = 0; step < kWarm + count; ++step) {
    if (step == kWarm) {
      EXPECT_EQ(queue.look().taken, kWarm);
      emulated::reset_ledger();
    }
    const Index first = step % 4 * kBatch;
    f.select_from_order(first, std::min(kBatch, kRows - first), static_cast<std::uint64_t>(step));
    queue.push(f, s.theta.data());
  }
  const emulated::Ledger ledger = emulated::ledger();
  EXPECT_EQ(queue.look().taken, count);
  return ledger;
}

TEST(EmulatedSteps, TakeTwoLaunchesAndAGraph) {
  const Method methods[] = {{"sgd", {}},
                            {"momentum", {}},
                            {"nesterov", {}},
                            {"adam", {}},
                            {"adamw", {}},
                            {"rmsprop", {}},
                            {"adagrad", {}},
                            {"hvp", {}},
                            {"hvp", {{"u", "random"}, {"curvature", "ggn"}}},
                            {"kfac", {{"factor_every", "100"}}},
                            {"ekfac", {{"factor_every", "100"}}},
                            {"adam", {}, {"weight_decay:0.01", "clip:1", "warmup:3", "cosine:40"}}};
  for (const Method& m : methods) {
    SCOPED_TRACE(m.name);
    constexpr Index kSteps = 7;
    const emulated::Ledger ledger = ledger_of(m, kSteps);
    EXPECT_EQ(ledger.graph_launches, kSteps);
    EXPECT_LE(ledger.launches, 2 * kSteps);
    EXPECT_EQ(ledger.library_calls, 0);
    EXPECT_EQ(ledger.copies, 0);
    EXPECT_EQ(ledger.waits, 0);
    EXPECT_EQ(ledger.allocations, 0);
  }
}

/// A step whose outcome is asked for waits once, or not at all where the device is done already.
TEST(EmulatedSteps, ASingleStepWaitsOnce) {
  const auto context = Context::create("cuda");
  Setting<float> s(*context, "mlp:5-6-3:tanh", LossKind::cross_entropy, kRows);
  auto f = s.objective();
  const auto optimizer = make_optimizer<float>("adam");
  for (int i = 0; i < 4; ++i) optimizer->step(f, s.theta.data());
  emulated::reset_ledger();
  optimizer->step(f, s.theta.data());
  EXPECT_LE(emulated::ledger().waits, 1);
  EXPECT_EQ(emulated::ledger().copies, 1);
  EXPECT_EQ(emulated::ledger().graph_launches, 1);
  EXPECT_LE(emulated::ledger().launches, 2);
}

}  // namespace
}  // namespace hso::test
