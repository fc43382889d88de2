// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/optim/wrappers.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numbers>

#include "hsogpu/core/error.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

using Words = std::vector<std::string>;
template <class T>
std::unique_ptr<Optimizer<T>> wrapped(const std::string& name, const OptimizerSettings& settings, const Words& words) {
  return make_wrapped<T>(make_optimizer<T>(name, settings), words);
}
template <class V>
V metric(const StepReport& report, const std::string& name) {
  for (const auto& [key, value] : report.metrics)
    if (key == name) return std::get<V>(value);
  ADD_FAILURE() << "no metric " << name;
  return V{};
}

class Wrappers : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Wrappers, testing::ValuesIn(contexts()), device_word);

/// Both train one network from one start for 20 steps: the largest distance of their parameters.
template <class T>
double distance_after_training(Context& context, Optimizer<T>& a, Optimizer<T>& b) {
  Setting<T> left(context, "mlp:5-6-3:tanh", LossKind::cross_entropy, 40),
      right(context, "mlp:5-6-3:tanh", LossKind::cross_entropy, 40);
  auto f = left.objective(), g = right.objective();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(a.step(f, left.theta.data()).status, StepStatus::accepted);
    EXPECT_EQ(b.step(g, right.theta.data()).status, StepStatus::accepted);
  }
  const auto x = left.theta.download(), y = right.theta.download();
  double most = 0;
  for (std::size_t i = 0; i < x.size(); ++i) most = std::max(most, std::abs(static_cast<double>(x[i] - y[i])));
  return most;
}

/// Wrapped plain descent is the method of that name, in both precisions.
TEST_P(Wrappers, AroundPlainDescentTheyAreTheKnownMethods) {
  for_types([&]<class T>() {
    // 20 steps of a few roundings each of numbers below 1; in Adam an error of g is an error of the step's direction.
    const double tolerance = 200 * std::numeric_limits<T>::epsilon();
    const auto expect_equal = [&](std::unique_ptr<Optimizer<T>> a, std::unique_ptr<Optimizer<T>> b, double times) {
      EXPECT_LE(distance_after_training<T>(context(), *a, *b), times * tolerance) << a->name() << " " << b->name();
    };
    expect_equal(wrapped<T>("sgd", {{"rate", "0.2"}}, {"momentum:0.9"}),
                 make_optimizer<T>("momentum", {{"rate", "0.2"}, {"momentum", "0.9"}}), 1);
    expect_equal(wrapped<T>("sgd", {{"rate", "1"}}, {"adam:0.01"}), make_optimizer<T>("adam", {{"rate", "0.01"}}), 10);
    expect_equal(wrapped<T>("adam", {{"rate", "0.01"}}, {"weight_decay:0.003"}),
                 make_optimizer<T>("adamw", {{"rate", "0.01"}, {"weight_decay", "0.3"}}), 10);
    expect_equal(wrapped<T>("hvp", {{"rate", "0.1"}, {"momentum", "0"}}, {"momentum:0.8"}),
                 make_optimizer<T>("hvp", {{"rate", "0.1"}, {"momentum", "0.8"}}), 1);
    expect_equal(wrapped<T>("sgd", {{"rate", "0.2"}}, {}), make_optimizer<T>("sgd", {{"rate", "0.2"}}), 0);
  });
}

/// f = x: every step of sgd with rate 1 is -1 before the schedule.
struct Slope {
  std::unique_ptr<Context> cpu = Context::create("cpu");
  Callback f{*cpu, 1, [](const double* x, double* g) {
               if (g != nullptr) *g = 1;
               return x[0];
             }};
  Numbers factors(const Words& words, int steps) {
    auto optimizer = wrapped<double>("sgd", {{"rate", "1"}}, words);
    Numbers x{0}, out;
    for (int i = 0; i < steps; ++i) {
      const double before = x[0];
      const StepReport r = optimizer->step(f, x.data());
      EXPECT_EQ(r.status, StepStatus::accepted);
      out.push_back(before - x[0]);
    }
    return out;
  }
};

TEST(WrapperSchedules, AreTheFormulas) {
  Slope s;
  const auto expect = [&](const Words& words, const Numbers& expected) {
    const Numbers found = s.factors(words, static_cast<int>(expected.size()));
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 1e-14) << words.front() << " step " << i + 1;
  };
  expect({"warmup:4"}, {0.25, 0.5, 0.75, 1, 1, 1});
  expect({"step:2"}, {1, 1, 0.1, 0.1, 0.01});
  expect({"step:1:0.5"}, {1, 0.5, 0.25, 0.125});
  expect({"exponential:0.9"}, {1, 0.9, 0.81, 0.729});
  expect({"linear:4:0.2"}, {1, 0.8, 0.6, 0.4, 0.2, 0.2});
  const double root = std::sqrt(0.5);
  expect({"cosine:4"}, {1, (1 + root) / 2, 0.5, (1 - root) / 2, 0, 0});
  expect({"cosine:2:0.5"}, {1, 0.75, 0.5, 0.5});
  expect({"one_cycle:10:0.2:0.5:0.1"}, {0.5, 0.75, 1, 0.1 + 0.9 * (1 + std::cos(std::numbers::pi / 8)) / 2});
  expect({"warmup:2", "cosine:4"}, {0.5, (1 + root) / 2, 0.5});
  EXPECT_NEAR(s.factors({"one_cycle:10"}, 12).back(), 0, 1e-15);
}

TEST(WrapperBounds, ClipBoundsTheStepAndClipGradientTheGradient) {
  const auto cpu = Context::create("cpu");
  Quadratic f(*cpu, {4, 1, 1, 3}, {0, 0});
  const Numbers start{3, -4}, g{4 * 3 - 4, 3 - 12};
  const double norm = std::hypot(g[0], g[1]);
  Numbers x = start;
  StepReport r = wrapped<double>("sgd", {{"rate", "0.5"}}, {"clip:0.1"})->step(f, x.data());
  EXPECT_NEAR(std::hypot(x[0] - start[0], x[1] - start[1]), 0.1, 1e-14);
  EXPECT_NEAR(x[0], start[0] - 0.1 * g[0] / norm, 1e-14);
  EXPECT_NEAR(r.step_norm, 0.1, 1e-15);
  EXPECT_NEAR(metric<double>(r, "step_norm_before_clip"), 0.5 * norm, 1e-13);

  x = start;
  r = wrapped<double>("sgd", {{"rate", "0.5"}}, {"clip_gradient:2"})->step(f, x.data());
  EXPECT_NEAR(x[1], start[1] - 0.5 * 2 * g[1] / norm, 1e-14);
  EXPECT_NEAR(r.gradient_norm, norm, 1e-13);  // the true one
  EXPECT_NEAR(metric<double>(r, "gradient_norm_before_clip"), norm, 1e-13);

  // Below the bounds nothing changes, not one bit.
  Numbers plain = start, loose = start;
  make_optimizer<double>("sgd")->step(f, plain.data());
  wrapped<double>("sgd", {}, {"clip:1e6", "clip_gradient:1e6"})->step(f, loose.data());
  EXPECT_EQ(plain, loose);
}

/// Curvature is seen through clip_gradient: hvp's product is that of the true Hessian.
TEST(WrapperBounds, ClipGradientLeavesTheCurvature) {
  const auto cpu = Context::create("cpu");
  Quadratic f(*cpu, {2, 0, 0, 2}, {0, 0});
  Numbers x{3, 4};  // g = (6, 8), clipped to (0.6, 0.8); H u = 2 u
  wrapped<double>("hvp", {{"rate", "1"}, {"alpha", "0.25"}, {"momentum", "0"}}, {"clip_gradient:1"})->step(f, x.data());
  EXPECT_NEAR(x[0], 3 - 0.6 * 1.5, 1e-14);
  EXPECT_NEAR(x[1], 4 - 0.8 * 1.5, 1e-14);
}

TEST(WrapperReports, SayWhatIsKnown) {
  const auto cpu = Context::create("cpu");
  Quadratic f(*cpu, {4, 1, 1, 3}, {1, 2});
  Numbers x{1, 1};
  auto optimizer = wrapped<double>("hso", {}, {"cosine:4"});
  EXPECT_EQ(optimizer->name(), "hso+cosine");
  EXPECT_TRUE(optimizer->full_batch());
  EXPECT_TRUE(optimizer->dense());
  StepReport r = optimizer->step(f, x.data());  // factor 1: the inner step itself
  EXPECT_NEAR(r.loss_after, f.value(x.data()), 1e-14);
  EXPECT_EQ(metric<double>(r, "factor_cosine"), 1);
  EXPECT_EQ(metric<std::int64_t>(r, "rank"), 2);
  r = optimizer->step(f, x.data());
  EXPECT_EQ(r.loss_after, r.loss_before) << "not evaluated";
  EXPECT_NEAR(metric<double>(r, "step_norm_before_cosine") * metric<double>(r, "factor_cosine"), r.step_norm, 1e-14);
}

TEST(WrapperRobustness, EveryWrapperLowersAQuadraticAroundEveryKindOfMethod) {
  const auto cpu = Context::create("cpu");
  const SymmetricCase c = with_spectrum("quadratic", {0.5, 1, 2, 4}, 4);
  Quadratic f(*cpu, c.matrix, random_numbers(4, 5));
  for (const char* name : {"sgd", "hvp", "hso", "hso.cg", "hso.lowrank", "lbfgs", "adam"})
    for (const char* word : {"momentum:0.5", "adam:0.05", "weight_decay:1e-4", "clip:0.5", "clip_gradient:3",
                             "warmup:5", "step:10:0.5", "exponential:0.95", "cosine:20", "linear:20", "one_cycle:20"}) {
      OptimizerSettings settings;
      if (std::string(name) == "hso.cg" || std::string(name) == "hso.lowrank") settings["curvature"] = "hessian";
      if (std::string(name) == "hvp") settings["momentum"] = "0";
      Numbers x = random_numbers(4, 6);
      const double before = f.value(x.data());
      auto optimizer = wrapped<double>(name, settings, {word});
      for (int i = 0; i < 20; ++i) optimizer->step(f, x.data());
      EXPECT_LT(f.value(x.data()), before) << optimizer->name();
    }
}

TEST(WrapperRobustness, RefusedAndInfiniteStepsLeaveEveryBitAndTheState) {
  const auto cpu = Context::create("cpu");
  bool broken = false;
  Callback f(*cpu, 1, [&](const double* x, double* g) {
    if (g != nullptr) *g = broken ? std::numeric_limits<double>::quiet_NaN() : 2 * x[0];
    return x[0] * x[0];
  });
  for (const WrapperInfo& info : wrapper_table()) {
    std::string word = info.name;
    for (const OptionInfo& a : info.arguments) word += ":" + (a.default_value.empty() ? "1" : a.default_value);
    if (info.name == "weight_decay") word = "weight_decay:0.1";
    if (info.name == "exponential") word = "exponential:0.5";
    // With and without a refusal in between: the same bits afterwards.
    Numbers x{1}, y{1};
    auto a = wrapped<double>("momentum", {}, {word}), b = wrapped<double>("momentum", {}, {word});
    a->step(f, x.data());
    b->step(f, y.data());
    broken = true;
    const Numbers held = x;
    const StepReport r = a->step(f, x.data());
    broken = false;
    EXPECT_EQ(r.status, StepStatus::not_finite) << word;
    EXPECT_EQ(x, held) << word;
    EXPECT_FALSE(r.message.empty());
    a->step(f, x.data());
    b->step(f, y.data());
    EXPECT_EQ(x, y) << word;
  }
  // Refusals of a method that judges its steps.
  Callback wrong(*cpu, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = -2 * x[0];
    return x[0] * x[0];
  });
  Numbers x{0.1};
  EXPECT_EQ(wrapped<double>("hso", {}, {"momentum"})->step(wrong, x.data()).status, StepStatus::rejected);
  EXPECT_EQ(x, Numbers{0.1});
  // A finite inner step whose Adam moments overflow.
  Quadratic huge(*cpu, {1e200}, {0});
  Numbers h{1};
  const StepReport r = wrapped<double>("sgd", {{"rate", "1"}}, {"adam"})->step(huge, h.data());
  EXPECT_EQ(r.status, StepStatus::not_finite);
  EXPECT_EQ(h, Numbers{1});
  EXPECT_TRUE(contains(r.message, "sgd+adam", "parameters unchanged"));
}

TEST(WrapperRobustness, StepsAllocateNothingAfterTheFirst) {
  const auto cpu = Context::create("cpu");
  Quadratic f(*cpu, {2, 0.5, 0.5, 1}, {1, -1});
  auto optimizer = wrapped<double>(
      "hvp", {}, {"clip_gradient:5", "momentum", "adam", "weight_decay:1e-3", "clip:1", "warmup:3", "cosine:9"});
  Numbers x{3, 4};
  optimizer->step(f, x.data());
  const Index before = cpu->allocation_count();
  for (int i = 0; i < 5; ++i) optimizer->step(f, x.data());
  EXPECT_EQ(cpu->allocation_count(), before);
}

/// The inner steps are far below theta's last bit; Adam's scaling sees them all the same.
TEST(WrapperPrecision, SmallDisplacementsSurviveLargeParameters) {
  const auto cpu = Context::create("cpu");
  Setting<float> s(*cpu, "mlp:5-6-3:tanh", LossKind::cross_entropy, 40);
  auto f = s.objective();
  const auto start = s.theta.download();
  auto optimizer = wrapped<float>("sgd", {{"rate", "1e-12"}}, {"adam:0.01:0.9:0.999:1e-30"});
  optimizer->step(f, s.theta.data());
  const auto moved = s.theta.download();
  int changed = 0;
  for (std::size_t i = 0; i < moved.size(); ++i) changed += moved[i] != start[i] ? 1 : 0;
  EXPECT_EQ(changed, static_cast<int>(moved.size()));
}

TEST(WrapperGrammar, MistakesAreNamed) {
  const auto message = [](const std::string& word) {
    return message_of<UsageError>([&] { wrapped<float>("sgd", {}, {word}); });
  };
  EXPECT_TRUE(contains(message("coisne:10"), "wrapper 'coisne'", "did you mean 'cosine'", "one_cycle"));
  EXPECT_TRUE(contains(message("cosine"), "steps is missing", "cosine:STEPS[:FLOOR]"));
  EXPECT_TRUE(contains(message("cosine:10:0:3"), "3 values", "cosine:STEPS[:FLOOR]"));
  EXPECT_TRUE(contains(message("warmup:many"), "wrapper warmup, steps", "'many', expected a number"));
  EXPECT_TRUE(contains(message("warmup:2.5"), "steps = 2.5", "whole number"));
  EXPECT_TRUE(contains(message("momentum:1"), "momentum = 1", "[0, 1)"));
  EXPECT_TRUE(contains(message("adam:0"), "rate = 0", "above 0"));
  EXPECT_TRUE(contains(message("clip:-1"), "norm = -1"));
  EXPECT_TRUE(contains(message("clip_gradient:0"), "norm = 0"));
  EXPECT_TRUE(contains(message("clip:inf"), "finite"));
  EXPECT_TRUE(contains(message("clip:"), "''"));
  EXPECT_TRUE(contains(message(""), "wrapper '' is unknown"));
  for (const WrapperInfo& info : wrapper_table()) {
    EXPECT_FALSE(info.summary.empty());
    EXPECT_EQ(info.grammar().rfind(info.name, 0), 0u);
    for (const OptionInfo& a : info.arguments) EXPECT_FALSE(a.help.empty());
  }
}

}  // namespace
}  // namespace hso::test
