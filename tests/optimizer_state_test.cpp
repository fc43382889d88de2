// SPDX-License-Identifier: Apache-2.0
//
// The state of every optimizer, written and read back: a fresh one takes the steps that the old one would have taken,
// to the bit. A member that is forgotten shows as another bit.
#include "hsogpu/core/state.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/optim/step_queue.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

class OptimizerState : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, OptimizerState, testing::ValuesIn(contexts()), device_word);

struct Method {
  std::string name;
  OptimizerSettings settings{};
  std::vector<std::string> wrappers{};
};

std::string told(const Method& m) {
  std::string text = m.name;
  for (const auto& [key, value] : m.settings) text += " " + key + "=" + value;
  for (const auto& word : m.wrappers) text += " " + word;
  return text;
}

constexpr Index kRows = 20, kBatch = 8, kBefore = 4, kAll = 7;

/// A network with dropout, and batches of which the last one is short.
template <class T>
struct Training {
  Training(Context& c, const Method& m, const Mask& mask = {})
      : setting(c,
                parse_model_toml("input = [3]\n[[layer]]\ntype = \"linear\"\nout = 4\n[[layer]]\ntype = \"tanh\"\n"
                                 "[[layer]]\ntype = \"dropout\"\np = 0.25\n[[layer]]\ntype = \"linear\"\nout = 3\n",
                                 "test"),
                LossKind::cross_entropy, kRows),
        objective(c, setting.network, setting.data, NetworkObjectiveOptions{kBatch, 4, 0.01}),
        optimizer(make_masked<T>(make_wrapped<T>(make_optimizer<T>(m.name, m.settings), m.wrappers), mask)),
        queue(c, *optimizer) {}

  void choose_rows(Index step) {
    const Index first = step * kBatch % 24;
    std::vector<Index> rows(static_cast<std::size_t>(std::min(kBatch, kRows - first)));
    std::iota(rows.begin(), rows.end(), first);
    objective.select(rows);
    objective.set_training(true, static_cast<std::uint64_t>(step));
  }
  void steps(Index from, Index to) {
    for (Index step = from; step < to; ++step) {
      choose_rows(step);
      optimizer->step(objective, setting.theta.data());
    }
  }
  void queued_steps(Index from, Index to) {
    for (Index step = from; step < to; ++step) {
      choose_rows(step);
      queue.push(objective, setting.theta.data());
      if (step + 1 == to) queue.look();
    }
  }
  /// Takes over where the other one is.
  void follow(Training& other) {
    setting.theta.upload(other.setting.theta.download());
    load_state(*optimizer, objective, save_state(*other.optimizer));
  }

  Setting<T> setting;
  NetworkObjective<T> objective;
  std::unique_ptr<Optimizer<T>> optimizer;
  StepQueue<T> queue;
};

/// "" where both have the same members with the same bits, else the first that differs.
std::string difference(const RawTensors& a, const RawTensors& b) {
  for (const auto& [name, tensor] : a)
    if (!b.contains(name) || !(b.at(name) == tensor)) return name;
  return a.size() == b.size() ? "" : "the number of members";
}

template <class T>
void expect_same(Training<T>& a, Training<T>& b) {
  EXPECT_EQ(a.setting.theta.download(), b.setting.theta.download());
  EXPECT_EQ(difference(save_state(*a.optimizer), save_state(*b.optimizer)), "");
}

template <class T>
void expect_goes_on(Context& context, const Method& m, const Mask& mask = {}) {
  SCOPED_TRACE(told(m));
  Training<T> whole(context, m, mask), before(context, m, mask), after(context, m, mask);
  const auto start = whole.setting.theta.download();
  whole.steps(0, kAll);
  EXPECT_NE(whole.setting.theta.download(), start) << "it moves";
  before.steps(0, kBefore);
  after.follow(before);
  expect_same(before, after);
  after.steps(kBefore, kAll);
  expect_same(whole, after);
}

TEST_P(OptimizerState, EveryMethodGoesOnToTheBit) {
  for_types([&]<class T>() {
    for (const OptimizerInfo& info : optimizer_table()) expect_goes_on<T>(context(), {info.name});
  });
}

/// What the defaults do not reach: curvature that serves several steps, and options with members of their own.
TEST_P(OptimizerState, OptionsWithAStateOfTheirOwnGoOn) {
  const std::vector<Method> methods{
      {"rmsprop", {{"centered", "true"}, {"momentum", "0.5"}}},
      {"adahessian", {{"refresh", "3"}}},
      {"sophia", {{"refresh", "3"}}},
      {"sophia", {{"estimator", "gnb"}, {"refresh", "2"}}},
      {"soap", {{"refresh", "3"}}},
      {"shampoo", {{"refresh", "4"}}},
      {"shampoo", {{"max_dimension", "3"}, {"graft", "sgd"}}},
      {"hvp", {{"adaptive", "true"}}},
      {"hvp", {{"u", "random"}}},
      {"kfac", {{"factor_every", "2"}, {"inverse_every", "4"}}},
      {"ekfac", {{"factor_every", "2"}, {"inverse_every", "4"}}},
      {"hso", {{"control", "trust_region"}, {"scaling", "curvature"}}},
      {"hso.block", {{"refresh", "3"}}},
      {"hso.lowrank", {{"refresh", "3"}, {"rank", "4"}}},
      {"hso.lowrank", {{"start", "random"}, {"refresh", "3"}, {"rank", "4"}}},
      {"hso.cg", {{"preconditioner", "kfac"}, {"refresh", "3"}}},
      {"hso.cg", {{"preconditioner", "diagonal"}, {"refresh", "3"}, {"warm_start", "0.9"}}},
      {"hso.cg", {{"globalization", "trust_region"}}},
      {"hso.kfac", {{"refresh", "3"}, {"factor_every", "2"}}},
      {"hso.kfac", {{"damping", "joint"}, {"refresh", "3"}}},
      {"hso.kfac", {{"judged", "false"}, {"momentum", "0.9"}, {"factor_every", "2"}, {"refresh", "4"}}},
      {"hso.ekfac", {{"refresh", "3"}}},
      {"hso.ekfac", {{"judged", "false"}, {"momentum", "0.9"}, {"factor_every", "2"}, {"refresh", "4"}}},
      {"hso.rank1", {{"kind", "sr1"}}},
      {"hso.rank1", {{"kind", "sr1"}, {"memory", "3"}}},
      {"hso.rank1", {{"memory", "3"}, {"decay", "0.9"}}},
      {"lbfgs", {{"memory", "3"}, {"iterations", "2"}}},
  };
  for_types([&]<class T>() {
    for (const Method& m : methods) expect_goes_on<T>(context(), m);
  });
}

TEST_P(OptimizerState, EveryWrapperGoesOnToTheBit) {
  for_types([&]<class T>() {
    for (const WrapperInfo& info : wrapper_table()) {
      std::string word = info.name;
      for (const OptionInfo& argument : info.arguments)
        word += ":" + (argument.default_value.empty() ? std::string(argument.name == "factor" ? "0.9" : "3")
                                                      : argument.default_value);
      if (info.name == "weight_decay") word = "weight_decay:0.01";
      expect_goes_on<T>(context(), {"momentum", {}, {word}});
    }
    expect_goes_on<T>(context(), {"sgd", {}, {"momentum", "adam:0.01", "clip:0.05", "clip_gradient:0.2", "warmup:7"}});
    Mask mask{std::vector<std::uint8_t>(31, 1)};
    mask.kept[2] = mask.kept[17] = 0;
    expect_goes_on<T>(context(), {"adam", {}, {"cosine:9"}}, mask);
    expect_goes_on<T>(context(), {"muon"}, mask);
  });
}

TEST_P(OptimizerState, QueuedStepsGoOnToTheBit) {
  for_types([&]<class T>() {
    for (const OptimizerInfo& info : optimizer_table()) {
      const Method m{info.name, {}, {"warmup:6"}};
      Training<T> whole(context(), m), before(context(), m), after(context(), m);
      if (whole.optimizer->queued() == nullptr) continue;
      SCOPED_TRACE(told(m));
      whole.queued_steps(0, kAll);
      before.queued_steps(0, kBefore);
      after.follow(before);
      after.queued_steps(kBefore, kAll);
      expect_same(whole, after);
    }
  });
}

TEST_P(OptimizerState, BeforeTheFirstStepThereIsNone) {
  for (const OptimizerInfo& info : optimizer_table()) {
    SCOPED_TRACE(info.name);
    Training<float> fresh(context(), {info.name}), other(context(), {info.name});
    const RawTensors state = save_state(*fresh.optimizer);
    ASSERT_EQ(state.size(), 1u);
    EXPECT_EQ(state.at("started").bytes, std::string(1, '\0'));
    other.steps(0, 2);
    load_state(*other.optimizer, other.objective, state);
    EXPECT_EQ(difference(save_state(*other.optimizer), state), "") << "what it had is forgotten";
  }
}

/// A step back, to the bit, whatever was done since.
TEST_P(OptimizerState, ASnapshotGivesBackWhatWasThere) {
  for_types([&]<class T>() {
    for (const OptimizerInfo& info : optimizer_table())
      for (const Index steps : {Index{0}, Index{3}}) {
        SCOPED_TRACE(info.name);
        Training<T> one(context(), {info.name});
        one.steps(0, steps);
        const RawTensors before = save_state(*one.optimizer);
        StateSnapshot snapshot(context());
        snapshot.take([&](StateVisitor& state) { one.optimizer->visit_state(state, nullptr); });
        EXPECT_EQ(difference(snapshot.to_host(), before), "");
        one.steps(steps, steps + 2);
        snapshot.restore([&](StateVisitor& state) { one.optimizer->visit_state(state, &one.objective); });
        EXPECT_EQ(difference(save_state(*one.optimizer), before), "");
      }
  });
}

/// One snapshot, taken before every step as training does: what seldom changes is copied after changes alone.
TEST_P(OptimizerState, ASnapshotThatIsTakenAgainAndAgainGivesBackWhatWasThere) {
  const Method methods[] = {
      {"kfac", {{"factor_every", "2"}, {"inverse_every", "4"}}},
      {"ekfac", {{"factor_every", "2"}, {"inverse_every", "4"}}},
      {"hso.kfac", {{"refresh", "3"}, {"factor_every", "2"}}},
      {"hso.kfac", {{"damping", "joint"}, {"factor_every", "3"}, {"refresh", "3"}}},
      {"hso.ekfac", {{"judged", "false"}, {"factor_every", "2"}, {"refresh", "4"}}},
  };
  for_types([&]<class T>() {
    for (const Method& m : methods) {
      SCOPED_TRACE(told(m));
      Training<T> one(context(), m);
      StateSnapshot snapshot(context());
      const auto take = [&] { snapshot.take([&](StateVisitor& s) { one.optimizer->visit_state(s, nullptr); }); };
      const auto back = [&] {
        snapshot.restore([&](StateVisitor& s) { one.optimizer->visit_state(s, &one.objective); });
      };
      for (Index step = 0; step < 9; ++step) {
        take();
        const RawTensors before = save_state(*one.optimizer);
        EXPECT_EQ(difference(snapshot.to_host(), before), "") << step;
        one.steps(step, step + 1);
        back();
        EXPECT_EQ(difference(save_state(*one.optimizer), before), "") << step;
        one.steps(step, step + 1);
      }
    }
  });
}

TEST_P(OptimizerState, SaysWhichMemberDoesNotFit) {
  Training<float> one(context(), {"adam"}), other(context(), {"adam"});
  one.steps(0, 2);
  const RawTensors state = save_state(*one.optimizer);
  const auto message = [&](const RawTensors& wrong) {
    return message_of<InputError>([&] { load_state(*other.optimizer, other.objective, wrong, "s.safetensors"); });
  };
  RawTensors wrong = state;
  wrong.erase("square");
  EXPECT_TRUE(contains(message(wrong), "s.safetensors", "'square' is missing"));
  wrong = state;
  wrong["mean"].shape = Shape{30};
  EXPECT_TRUE(contains(message(wrong), "'mean' is F32 [30], expected F32 [31]"));
  wrong = state;
  wrong["cube"] = state.at("mean");
  EXPECT_TRUE(contains(message(wrong), "'cube' is no part of this state"));
}

}  // namespace
}  // namespace hso::test
