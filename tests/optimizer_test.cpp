// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/optim/optimizer.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/optim/hso.hpp"
#include "support/objectives.hpp"

namespace hso {
namespace {

using test::Callback;
using test::Quadratic;
using test::with;

class OptimizerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Context> context_ = Context::create("cpu");

  std::vector<double> run(const std::string& name, const OptimizerSettings& settings, Objective<double>& f,
                          std::vector<double> x, int steps, StepReport* last = nullptr) {
    auto optimizer = make_optimizer<double>(name, settings);
    for (int i = 0; i < steps; ++i) {
      const StepReport report = optimizer->step(f, x.data());
      if (last != nullptr) *last = report;
    }
    return x;
  }
};

template <class V>
V metric(const StepReport& report, const std::string& name) {
  for (const auto& [key, value] : report.metrics)
    if (key == name) return std::get<V>(value);
  ADD_FAILURE() << "no metric " << name;
  return V{};
}

const OptimizerSettings kNewton{{"sign", "raw"}, {"delta", "0"}, {"eps_scale", "0"}, {"adaptive", "false"}};

TEST_F(OptimizerTest, EveryRegisteredOptimizerLowersAConvexFunction) {
  Quadratic f(*context_, {2, 0.5, 0.5, 1}, {1, -1});
  for (const OptimizerInfo& info : optimizer_table()) {
    if (!info.needs_network) {
      const std::vector<double> start{3, 4};
      const std::vector<double> x = run(info.name, {}, f, start, 30);
      EXPECT_LT(f.value(x.data()), f.value(start.data())) << info.name;
    }
    EXPECT_FALSE(info.summary.empty()) << info.name;
    for (const OptionInfo& option : info.options) {
      EXPECT_NO_THROW(make_optimizer<float>(info.name, {{option.name, option.default_value}}))
          << info.name << " " << option.name << "=" << option.default_value;
      EXPECT_FALSE(option.help.empty());
    }
  }
}

TEST_F(OptimizerTest, UnknownNamesAndValuesAreUsageErrorsWithAHint) {
  const auto message = [](const std::string& name, const OptimizerSettings& settings) -> std::string {
    try {
      make_optimizer<float>(name, settings);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message("hos", {}).find("hso"), std::string::npos);
  EXPECT_NE(message("adam", {{"bata1", "0.5"}}).find("beta1"), std::string::npos);
  EXPECT_NE(message("adam", {{"rate", "fast"}}).find("'fast', expected a number"), std::string::npos);
  EXPECT_NE(message("sgd", {{"rate", "-1"}}).find("rate = -1"), std::string::npos);
  EXPECT_NE(message("hso", {{"sign", "up"}}).find("truncate"), std::string::npos);
  EXPECT_NE(message("hso", {{"eps_scale", "1"}}).find("unstable"), std::string::npos);
  EXPECT_NE(message("hvp", {{"u", "twos"}}).find("velocity"), std::string::npos);
}

TEST_F(OptimizerTest, SgdMomentumAndAdamFollowTheirRecurrences) {
  Quadratic f(*context_, {2}, {0});  // f = x^2, g = 2x
  EXPECT_NEAR(run("sgd", {{"rate", "0.1"}}, f, {1}, 3)[0], 0.8 * 0.8 * 0.8, 1e-15);
  double x = 1, v = 0;
  for (int i = 0; i < 5; ++i) {
    v = 0.9 * v + 2 * x;
    x -= 0.05 * v;
  }
  EXPECT_NEAR(run("momentum", {{"rate", "0.05"}, {"momentum", "0.9"}}, f, {1}, 5)[0], x, 1e-15);
  double y = 1, m = 0, s = 0;
  for (int t = 1; t <= 5; ++t) {
    const double g = 2 * y;
    m = 0.9 * m + 0.1 * g;
    s = 0.999 * s + 0.001 * g * g;
    y -= 0.01 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(s / (1 - std::pow(0.999, t))) + 1e-8);
  }
  EXPECT_NEAR(run("adam", {{"rate", "0.01"}}, f, {1}, 5)[0], y, 1e-14);
}

TEST_F(OptimizerTest, HvpCorrectedGradientReproducesTheWorkedExample) {
  // f = x^2, u = 1: x <- 0.98 x - 0.002, so x_k = -0.1 (1 - 0.98^k).
  Quadratic f(*context_, {2}, {0});
  const OptimizerSettings settings{{"rate", "0.01"}, {"alpha", "0.1"}, {"u", "ones"}, {"momentum", "0"}};
  EXPECT_NEAR(run("hvp", settings, f, {0}, 100)[0], -0.1 * (1 - std::pow(0.98, 100)), 1e-15);
}

TEST_F(OptimizerTest, HvpDirectionsAreWhatTheyAreCalled) {
  // One step from rest: x1 = x0 - rate (g + alpha H u).
  const std::vector<double> a{2, 0.5, 0.5, 1};
  Quadratic f(*context_, a, {0, 0});
  const std::vector<double> x{1, -2}, g{2 * 1 - 0.5 * 2, 0.5 - 2};
  const auto expected = [&](double u0, double u1) {
    return std::vector<double>{x[0] - 0.1 * (g[0] + 0.3 * (2 * u0 + 0.5 * u1)),
                               x[1] - 0.1 * (g[1] + 0.3 * (0.5 * u0 + u1))};
  };
  const auto step = [&](const char* u) { return run("hvp", {{"rate", "0.1"}, {"alpha", "0.3"}, {"u", u}}, f, x, 1); };
  EXPECT_NEAR(step("ones")[0], expected(1, 1)[0], 1e-14);
  EXPECT_NEAR(step("gradient")[1], expected(g[0], g[1])[1], 1e-14);
  EXPECT_NEAR(step("velocity")[0], expected(0, 0)[0], 1e-14);
  const double random = step("random")[0];
  bool is_a_sign_pattern = false;
  for (double s0 : {-1.0, 1.0})
    for (double s1 : {-1.0, 1.0})
      is_a_sign_pattern = is_a_sign_pattern || std::fabs(random - expected(s0, s1)[0]) < 1e-14;
  EXPECT_TRUE(is_a_sign_pattern);
}

/// On f = (4 x^2 + y^2) / 2 along x c = 4: alpha starts where it is told and doubles up to 1 / 2c = 1/8, whatever its
/// sign, since a quadratic is its own model.
TEST_F(OptimizerTest, AdaptiveAlphaFollowsTheCurvatureAndKeepsItsSign) {
  Quadratic f(*context_, {4, 0, 0, 1}, {0, 0});
  for (const char* alpha : {"0.03", "-0.03"}) {
    const double sign = alpha[0] == '-' ? -1 : 1;
    auto hvp = make_optimizer<double>("hvp", {{"alpha", alpha}, {"adaptive", "true"}, {"momentum", "0"}});
    std::vector<double> x{1, 0};
    for (double expected : {0.03, 0.06, 0.12, 0.125, 0.125}) {
      const double before = x[0];
      const StepReport r = hvp->step(f, x.data());
      EXPECT_NEAR(metric<double>(r, "alpha"), sign * expected, 1e-15);
      EXPECT_NEAR(metric<double>(r, "ratio"), 1, 1e-12);
      EXPECT_NEAR(x[0], before * (1 - 0.1 * (4 + sign * expected * 16)), 1e-15);
      EXPECT_NEAR(r.loss_after, f.value(x.data()), 1e-15);
      EXPECT_EQ(r.products, 2);
    }
  }
  // Off the top of cos x the model promises more than comes, and the share is quartered.
  Callback wave(*context_, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = -std::sin(x[0]);
    return std::cos(x[0]);
  });
  auto hvp = make_optimizer<double>("hvp", {{"alpha", "-10"}, {"adaptive", "true"}, {"momentum", "0"}, {"rate", "9"}});
  double x = 1;
  const StepReport first = hvp->step(wave, &x);
  ASSERT_LT(metric<double>(first, "ratio"), 0.25);
  const double c = -std::cos(x);
  const StepReport second = hvp->step(wave, &x);
  EXPECT_NEAR(metric<double>(second, "alpha"), -0.25 / (2 * std::fabs(c)), 1e-6);
}

TEST_F(OptimizerTest, NewtonSolvesAQuadraticInOneStep) {
  Quadratic f(*context_, {4, 1, 0, 1, 3, 1, 0, 1, 2}, {1, 2, 3});
  StepReport report;
  const std::vector<double> x = run("hso", kNewton, f, {10, -10, 10}, 1, &report);
  std::vector<double> g(3);
  f.gradient(x.data(), g.data());
  for (double gi : g) EXPECT_NEAR(gi, 0, 1e-13);
  EXPECT_EQ(report.status, StepStatus::accepted);
  EXPECT_NEAR(metric<double>(report, "ratio"), 1, 1e-12);
  EXPECT_TRUE(metric<bool>(report, "descent"));
  EXPECT_EQ(metric<std::int64_t>(report, "n_positive"), 3);
  EXPECT_LT(metric<double>(report, "inverse_residual"), 1e-13);
}

TEST_F(OptimizerTest, EpsAddsThatMuchOfTheGradientToTheNewtonStep) {
  Quadratic f(*context_, {4, 1, 1, 3}, {1, 2});
  const std::vector<double> x0{0.5, -0.25};
  std::vector<double> g(2);
  f.gradient(x0.data(), g.data());
  const std::vector<double> newton = run("hso", kNewton, f, x0, 1);
  const std::vector<double> modified = run("hso", with(kNewton, {{"eps", "0.05"}}), f, x0, 1);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(modified[i], newton[i] - 0.05 * g[i], 1e-15);
}

TEST_F(OptimizerTest, AFullStepIsStableUpToEpsOfOneOverLambdaMax) {
  // x -> -eps lambda x: |x| shrinks while eps lambda_max < 1. lambda_max = 4.
  Quadratic f(*context_, {4, 0, 0, 1}, {0, 0});
  StepReport report;
  run("hso", with(kNewton, {{"eps", "0.2499"}}), f, {1, 1}, 1, &report);
  EXPECT_EQ(report.status, StepStatus::accepted);
  run("hso", with(kNewton, {{"eps", "0.2501"}}), f, {1, 0}, 1, &report);
  EXPECT_EQ(report.status, StepStatus::rejected);
}

TEST_F(OptimizerTest, RawRefusesASingularHessianAndTruncateReportsBothRanks) {
  Quadratic f(*context_, {2, 0, 0, 0, 1, 0, 0, 0, 0}, {1, 1, 0});
  const std::vector<double> x0{5, 6, 7};
  StepReport report;
  EXPECT_EQ(run("hso", kNewton, f, x0, 1, &report), x0);
  EXPECT_EQ(report.status, StepStatus::singular);
  EXPECT_NE(report.message.find("1 of 3 eigenvalues"), std::string::npos) << report.message;

  const std::vector<double> x = run("hso", with(kNewton, {{"sign", "truncate"}, {"eps", "0.1"}}), f, x0, 1, &report);
  EXPECT_EQ(report.status, StepStatus::accepted);
  EXPECT_EQ(metric<std::int64_t>(report, "rank"), 2);
  EXPECT_EQ(metric<std::int64_t>(report, "rank_modified"), 3);
  EXPECT_NEAR(x[2], 7, 1e-15);
}

TEST_F(OptimizerTest, SignPoliciesOnASaddle) {
  // f = (x^2 - y^2) / 2 near its saddle: raw steps onto it, the others move away along y.
  Quadratic f(*context_, {1, 0, 0, -1}, {0, 0});
  const std::vector<double> x0{1, 0.1};
  EXPECT_NEAR(run("hso", kNewton, f, x0, 1)[1], 0, 1e-15);
  EXPECT_NEAR(run("hso", with(kNewton, {{"sign", "abs"}}), f, x0, 1)[1], 0.2, 1e-14);
  EXPECT_NEAR(run("hso", with(kNewton, {{"sign", "clip"}, {"delta", "0.5"}}), f, x0, 1)[1], 0.1 + 0.1 / 0.5, 1e-14);
  EXPECT_NEAR(run("hso", with(kNewton, {{"sign", "shift"}, {"delta", "0.5"}}), f, x0, 1)[1], 0.1 + 0.1 / 0.5, 1e-14);
}

TEST_F(OptimizerTest, AStepThatHelpsNowhereLeavesEveryBitInPlace) {
  // A gradient with the wrong sign: no trial can lower the value.
  Callback f(*context_, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = -2 * x[0];
    return x[0] * x[0];
  });
  StepReport report;
  EXPECT_EQ(run("hso", {}, f, {0.1}, 1, &report), std::vector<double>{0.1});
  EXPECT_EQ(report.status, StepStatus::rejected);
  EXPECT_EQ(report.trials, HsoOptions{}.max_trials);
  EXPECT_EQ(report.loss_after, report.loss_before);
}

TEST_F(OptimizerTest, DampingGrowsOnRejectionWithinOneDecomposition) {
  // f = log cosh x: the full Newton step from 2 overshoots and climbs; damping must find a smaller one.
  Callback f(*context_, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = std::tanh(x[0]);
    return std::log(std::cosh(x[0]));
  });
  StepReport report;
  const auto x = run("hso", {{"delta", "0.001"}, {"eps_scale", "0"}}, f, {2}, 1, &report);
  EXPECT_EQ(report.status, StepStatus::accepted);
  EXPECT_GT(report.trials, 1);
  EXPECT_EQ(report.gradients, 1);
  EXPECT_LT(f.value(x.data()), report.loss_before);
}

TEST_F(OptimizerTest, NonFiniteValuesLeaveEveryBitInPlace) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const OptimizerInfo& info : optimizer_table()) {
    Callback bad_gradient(*context_, 2, [nan](const double* x, double* g) {
      if (g != nullptr) g[0] = nan, g[1] = 1;
      return x[0];
    });
    if (info.needs_network) continue;
    const bool ggn = info.name == "hso.cg" || info.name == "hso.lowrank";  // the default needs a network's outputs
    const OptimizerSettings settings = ggn ? OptimizerSettings{{"curvature", "hessian"}} : OptimizerSettings{};
    StepReport report;
    EXPECT_EQ(run(info.name, settings, bad_gradient, {1, 2}, 1, &report), (std::vector<double>{1, 2})) << info.name;
    EXPECT_EQ(report.status, StepStatus::not_finite) << info.name;
    EXPECT_FALSE(report.message.empty());
  }
  // An overflowing step: finite gradient, infinite product.
  Quadratic huge(*context_, {1e300, 0, 0, 1}, {0, 0});
  StepReport report;
  EXPECT_EQ(run("sgd", {{"rate", "1e100"}}, huge, {1e8, 1}, 1, &report), (std::vector<double>{1e8, 1}));
  EXPECT_EQ(report.status, StepStatus::not_finite);
}

TEST_F(OptimizerTest, AMethodWhoseFirstStepWasRefusedGoesOn) {
  Quadratic bowl(*context_, {2, 0.5, 0.5, 1}, {1, -1});
  for (const OptimizerInfo& info : optimizer_table()) {
    if (info.needs_network) continue;
    bool broken = true;
    Callback f(*context_, 2, [&](const double* x, double* g) {
      const double value = g != nullptr ? bowl.gradient(x, g) : bowl.value(x);
      return broken ? std::numeric_limits<double>::quiet_NaN() : value;
    });
    OptimizerSettings settings;
    for (const OptionInfo& option : info.options)
      if (option.name == "curvature" && option.default_value == "ggn") settings["curvature"] = "hessian";
    const auto optimizer = make_optimizer<double>(info.name, settings);
    std::vector<double> x{3, 4};
    EXPECT_EQ(optimizer->step(f, x.data()).status, StepStatus::not_finite) << info.name;
    broken = false;
    EXPECT_EQ(optimizer->step(f, x.data()).status, StepStatus::accepted) << info.name;
  }
}

TEST_F(OptimizerTest, StepsAllocateNothingAfterTheFirst) {
  Quadratic f(*context_, {2, 0.5, 0.5, 1}, {1, -1});
  for (const OptimizerInfo& info : optimizer_table()) {
    if (info.needs_network) continue;
    auto optimizer = make_optimizer<double>(info.name);
    std::vector<double> x{3, 4};
    optimizer->step(f, x.data());
    const Index before = context_->allocation_count(), live = context_->allocated_bytes();
    for (int i = 0; i < 5; ++i) optimizer->step(f, x.data());
    EXPECT_EQ(context_->allocated_bytes(), live) << info.name;
    EXPECT_EQ(context_->allocation_count(), before) << info.name;
  }
}

TEST_F(OptimizerTest, FiniteDifferenceCurvatureGivesTheSameStepToItsAccuracy) {
  Quadratic exact(*context_, {4, 1, 1, 3}, {1, 2});
  Callback by_differences(
      *context_, 2, [&](const double* x, double* g) { return g != nullptr ? exact.gradient(x, g) : exact.value(x); });
  const std::vector<double> a = run("hso", kNewton, exact, {0.5, -0.25}, 1);
  const std::vector<double> b =
      run("hso", with(kNewton, {{"curvature", "finite_difference"}}), by_differences, {0.5, -0.25}, 1);
  // On a quadratic the central difference has no truncation error: rounding over the step, about eps / 6e-6 relative.
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(a[i], b[i], 1e-8);
}

}  // namespace
}  // namespace hso
