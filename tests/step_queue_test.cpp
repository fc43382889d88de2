// SPDX-License-Identifier: Apache-2.0
//
// Queued steps are single steps, to the bit, whatever method, wrapper and batch; and what is not finite stops them
// where it would have stopped single steps.
#include "hsogpu/optim/step_queue.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/adapters.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "train/batch_order.hpp"

namespace hso::test {
namespace {

class Queued : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Queued, testing::ValuesIn(contexts()), device_word);

struct Method {
  std::string name;
  OptimizerSettings settings;
  std::vector<std::string> wrappers{};
  bool queues = true;
};
/// Every method that queues its steps; some with other settings; wrappers, those that need the host, and a method that
/// always does.
std::vector<Method> methods() {
  std::vector<Method> all{
      {"adamw", {{"weight_decay", "0.1"}}},
      {"rmsprop", {{"centered", "true"}, {"momentum", "0.5"}}},
      {"hvp", {{"u", "velocity"}, {"curvature", "ggn"}}},
      {"hvp", {{"u", "ones"}, {"alpha", "-0.02"}}},
      {"hvp", {{"u", "random"}, {"momentum", "0"}}},
      {"hvp", {{"adaptive", "true"}}},
      {"kfac", {{"factor_every", "3"}, {"inverse_every", "6"}}},
      {"kfac", {{"factor_every", "4"}, {"inverse_every", "4"}, {"kl_clip", "1e-8"}}},
      {"ekfac", {{"factor_every", "3"}, {"inverse_every", "6"}}},
      {"sgd", {}, {"momentum", "weight_decay:0.01", "clip:0.02", "warmup:4", "cosine:9"}},
      {"kfac", {{"factor_every", "3"}, {"inverse_every", "6"}}, {"linear:12"}},
      {"adam", {}, {"warmup:4", "step:3"}},
      {"sgd", {}, {"adam"}, false},
      {"adam", {}, {"clip_gradient:0.1"}, false},
      {"muon", {}, {}, false},
  };
  for (const OptimizerInfo& info : optimizer_table())
    if (make_optimizer<double>(info.name)->queued() != nullptr) all.push_back({info.name, {}});
  return all;
}
const std::vector<Method> kMethods = methods();

constexpr Index kRows = 40, kBatch = 12;

const char* const kModel = R"(
input = [5]
[[layer]]
type = "linear"
out = 7
[[layer]]
type = "tanh"
[[layer]]
type = "dropout"
p = 0.25
[[layer]]
type = "linear"
out = 3
)";

/// A network with dropout on data whose last batch is short, its order of rows, and a way to step.
template <class T>
struct Training {
  Training(Context& c, const Method& m, const Mask& mask = {}, double l1 = 0)
      : setting(c, parse_model_toml(kModel, "test"), LossKind::cross_entropy, kRows),
        objective(c, setting.network, setting.data, NetworkObjectiveOptions{kBatch, 4, 0.01}),
        masked(objective, mask, MaskedOptions{l1}),
        optimizer(make_masked<T>(make_wrapped<T>(make_optimizer<T>(m.name, m.settings), m.wrappers), mask)),
        queue(c, *optimizer),
        order(static_cast<std::size_t>(kRows)) {
    std::iota(order.rbegin(), order.rend(), Index{0});
  }
  static Index first(Index step) { return step * kBatch % 48; }
  static Index count(Index step) { return std::min(kBatch, kRows - first(step)); }

  StepReport single(Index step) {
    objective.select(
        Span<const Index>(order).subspan(static_cast<std::size_t>(first(step)), static_cast<std::size_t>(count(step))));
    objective.set_training(true, static_cast<std::uint64_t>(step));
    return optimizer->step(masked, setting.theta.data());
  }
  void push(Index step) {
    if (step % 4 == 0) objective.set_order(order);
    objective.select_from_order(first(step), count(step), static_cast<std::uint64_t>(step));
    queue.push(masked, setting.theta.data());
  }
  Numbers theta() { return widen(setting.theta.download()); }

  Setting<T> setting;
  NetworkObjective<T> objective;
  MaskedObjective<T> masked;
  std::unique_ptr<Optimizer<T>> optimizer;
  StepQueue<T> queue;
  std::vector<Index> order;
};

void expect_same(const StepReport& a, const StepReport& b) {
  EXPECT_EQ(a.status, b.status);
  EXPECT_EQ(a.message, b.message);
  EXPECT_EQ(a.trials, b.trials);
  EXPECT_EQ(a.products, b.products);
  EXPECT_EQ(a.step_norm, b.step_norm);
  if (a.status != StepStatus::accepted) return;
  EXPECT_EQ(a.loss_before, b.loss_before);
  EXPECT_EQ(a.loss_after, b.loss_after);
  EXPECT_EQ(a.gradient_norm, b.gradient_norm);
  EXPECT_EQ(a.metrics, b.metrics);
}

std::string told(const Method& m) {
  std::string text = m.name;
  for (const auto& [key, value] : m.settings) text += " " + key + "=" + value;
  for (const auto& word : m.wrappers) text += " " + word;
  return text;
}

TEST_P(Queued, StepsAreTheSingleOnesToTheBit) {
  for_types([&]<class T>() {
    for (const Method& m : kMethods) {
      SCOPED_TRACE(told(m));
      Training<T> one(context(), m), many(context(), m);
      EXPECT_EQ(many.optimizer->queued() != nullptr, m.queues);
      StepReport last;
      for (Index step = 0; step < 11; ++step) {
        last = one.single(step);
        many.push(step);
        EXPECT_FALSE(many.queue.glance());
      }
      const auto outcome = many.queue.look();
      EXPECT_EQ(outcome.taken, 11);
      EXPECT_FALSE(outcome.refused);
      expect_same(outcome.report, last);
      EXPECT_EQ(many.theta(), one.theta());
      EXPECT_EQ(many.objective.gradient_equivalents(), one.objective.gradient_equivalents());
      EXPECT_EQ(many.queue.look().taken, 0);
    }
  });
}

TEST_P(Queued, MasksAndPenaltiesAreThoseOfSingleSteps) {
  const Method methods[] = {{"adam", {}}, {"hvp", {}}, {"momentum", {}, {"cosine:20"}}};
  for_types([&]<class T>() {
    for (const Method& m : methods) {
      SCOPED_TRACE(told(m));
      Mask mask = Mask::all(5 * 7 + 7 + 7 * 3 + 3);
      for (std::size_t i = 0; i < mask.kept.size(); i += 3) mask.kept[i] = 0;
      Training<T> one(context(), m, mask, 1e-3), many(context(), m, mask, 1e-3);
      StepReport last;
      for (Index step = 0; step < 6; ++step) {
        last = one.single(step);
        many.push(step);
      }
      expect_same(many.queue.look().report, last);
      EXPECT_EQ(many.theta(), one.theta());
      for (std::size_t i = 0; i < mask.kept.size(); i += 3) EXPECT_EQ(many.theta()[i], 0);
    }
  });
}

/// One row of the third batch makes its loss NaN. What is queued behind it does nothing, and the next step is that of a
/// method which has seen the refusal at once.
TEST_P(Queued, AStepThatIsNotFiniteStopsWhatIsQueuedBehindIt) {
  for_types([&]<class T>() {
    for (const Method& m : kMethods) {
      SCOPED_TRACE(told(m));
      Training<T> one(context(), m), many(context(), m);
      const T bad = std::numeric_limits<T>::quiet_NaN();
      for (Training<T>* run : {&one, &many})
        context().to_device(&bad, run->setting.data.inputs.data() + 5 * run->order[2 * kBatch + 1], sizeof bad);
      for (Index step = 0; step < 2; ++step) {
        one.single(step);
        many.push(step);
      }
      const StepReport refused = one.single(2);
      ASSERT_EQ(refused.status, StepStatus::not_finite);
      for (Index step = 2; step < 6; ++step) many.push(step);
      many.queue.glance();
      EXPECT_TRUE(many.queue.glance());
      const auto outcome = many.queue.look();
      EXPECT_EQ(outcome.taken, 3);
      EXPECT_TRUE(outcome.refused);
      expect_same(outcome.report, refused);
      EXPECT_EQ(many.theta(), one.theta());

      EXPECT_FALSE(many.queue.glance());
      StepReport last;
      for (Index step = 3; step < 6; ++step) {
        last = one.single(step);
        many.push(step);
      }
      const auto after = many.queue.look();
      EXPECT_EQ(after.taken, 3);
      expect_same(after.report, last);
      EXPECT_EQ(many.theta(), one.theta());
    }
  });
}

/// Finite loss and gradient, infinite step: the method's check, and the wrapper's where the inner step was taken.
TEST_P(Queued, AStepThatOverflowsIsRefused) {
  const Method methods[] = {{"sgd", {{"rate", "1e308"}}},
                            {"momentum", {{"rate", "1e308"}, {"momentum", "0"}}},
                            {"sgd", {{"rate", "1e307"}}, {"warmup:1", "momentum"}}};
  for (const Method& m : methods) {
    SCOPED_TRACE(told(m));
    Training<double> one(context(), m), many(context(), m);
    const double large = 1e3;
    for (Training<double>* run : {&one, &many})
      for (Index i = 0; i < 5 * kRows; ++i)
        context().to_device(&large, run->setting.data.inputs.data() + i, sizeof large);
    StepReport last;
    for (Index step = 0; step < 4 && last.status == StepStatus::accepted; ++step) last = one.single(step);
    for (Index step = 0; step < 4; ++step) many.push(step);
    const auto outcome = many.queue.look();
    EXPECT_EQ(last.status, StepStatus::not_finite);
    EXPECT_TRUE(outcome.refused);
    expect_same(outcome.report, last);
    EXPECT_EQ(many.theta(), one.theta());
  }
}

/// A full batch is bound once; its steps queue too.
TEST_P(Queued, TheWholeBatchStaysWhereItIs) {
  for_types([&]<class T>() {
    for (const char* name : {"adam", "hvp"}) {
      Setting<T> left(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, kRows),
          right(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, kRows);
      auto f = left.objective(), g = right.objective();
      auto one = make_optimizer<T>(name), many = make_optimizer<T>(name);
      StepQueue<T> queue(context(), *many);
      StepReport last;
      for (int i = 0; i < 7; ++i) {
        last = one->step(f, left.theta.data());
        queue.push(g, right.theta.data());
      }
      expect_same(queue.look().report, last);
      EXPECT_EQ(left.theta.download(), right.theta.download());
    }
  });
}

/// More rows than the device takes at a time: the gradient waits, the steps are right all the same.
TEST_P(Queued, BatchesInPiecesAreStepped) {
  Setting<double> left(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, kRows),
      right(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, kRows);
  for (const char* name : {"adam", "hvp"}) {
    auto f = left.objective({7, 2}), g = right.objective({7, 2});
    auto one = make_optimizer<double>(name), many = make_optimizer<double>(name);
    StepQueue<double> queue(context(), *many);
    for (int i = 0; i < 5; ++i) {
      one->step(f, left.theta.data());
      queue.push(g, right.theta.data());
    }
    EXPECT_EQ(queue.look().taken, 5);
    EXPECT_EQ(left.theta.download(), right.theta.download());
  }
}

TEST_P(Queued, AnOrderOfRowsIsAnyOtherSelection) {
  Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, kRows);
  auto f = s.objective({kBatch, 2}), g = s.objective({kBatch, 2});
  std::vector<Index> order(kRows);
  std::iota(order.rbegin(), order.rend(), Index{0});
  g.set_order(order);
  f.select(Span<const Index>(order).first(kBatch));
  EXPECT_EQ(g.value(s.theta.data()), f.value(s.theta.data())) << "the first batch is selected";
  g.select_from_order(36, 4, 0);
  f.select(Span<const Index>(order).last(4));
  Buffer<double> a(context(), s.n()), b(context(), s.n());
  EXPECT_EQ(g.gradient(s.theta.data(), a.data()), f.gradient(s.theta.data(), b.data()));
  EXPECT_EQ(a.download(), b.download());
  EXPECT_EQ(g.evaluate(s.theta.data()).accuracy, f.evaluate(s.theta.data()).accuracy);
  EXPECT_EQ(s.dense(g, Curvature::hessian), s.dense(f, Curvature::hessian));

  const auto refused = [&](Index first, Index count) {
    return message_of<UsageError>([&] { g.select_from_order(first, count, 0); });
  };
  EXPECT_TRUE(contains(refused(30, 11), "select_from_order", "order of 40"));
  EXPECT_TRUE(contains(refused(0, kBatch + 1), "at most 12"));
  EXPECT_TRUE(contains(refused(-1, 2), "-1"));
  EXPECT_TRUE(contains(refused(0, 0), "rows [0, 0 + 0)"));
  g.select(order);
  EXPECT_TRUE(contains(refused(0, 2), "order of 0"));
  order[3] = kRows;
  EXPECT_TRUE(contains(message_of<UsageError>([&] { g.set_order(order); }), "row 40 of 40"));
}

TEST_P(Queued, AShuffleIsTheBatchOrderOfAnEpoch) {
  Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, kRows);
  auto f = s.objective({kBatch, 2}), g = s.objective({kBatch, 2});
  BatchOrder order(kRows, kBatch, 3);
  for (Index step = 0; step < 3 * order.steps_per_epoch(); ++step) {
    const auto [first, count] = order.batch_of(step);
    if (first == 0) g.shuffle(order.seed_of(order.epoch_of(step)));
    g.select_from_order(first, count, 0);
    f.select(order.rows_of(step));
    EXPECT_EQ(g.value(s.theta.data()), f.value(s.theta.data())) << "step " << step;
  }
}

}  // namespace
}  // namespace hso::test
