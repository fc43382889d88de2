// SPDX-License-Identifier: Apache-2.0
//
// Why minimize stops, what it counts, and where it leaves theta.
#include "hsogpu/optim/minimize.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/function_objective.hpp"
#include "support/messages.hpp"
#include "support/objectives.hpp"

namespace hso::test {
namespace {

using Numbers = std::vector<double>;
const OptimizerSettings kNewton{{"sign", "raw"}, {"delta", "0"}, {"eps_scale", "0"}, {"adaptive", "false"}};

class Minimize : public testing::Test {
 protected:
  std::unique_ptr<Context> cpu_ = Context::create("cpu");
  Quadratic bowl_{*cpu_, {4, 1, 1, 3}, {1, 2}};

  FunctionObjective<double> function(Index n, std::function<double(const double*, double*)> f) {
    return {*cpu_, n, {.value = std::move(f)}};
  }
  Summary run(const std::string& name, const OptimizerSettings& settings, Objective<double>& f, Numbers& x,
              const MinimizeOptions& options = {}) {
    return minimize(*make_optimizer<double>(name, settings), f, x, options);
  }
};

TEST_F(Minimize, ConvergesWhereTheGradientIsSmallAndNowhereElse) {
  Numbers x{10, -10}, g(2);
  const Summary s = minimize(bowl_, x);
  EXPECT_EQ(s.termination, Termination::gradient) << s.message;
  EXPECT_TRUE(s.converged());
  bowl_.gradient(x.data(), g.data());
  EXPECT_LE(std::hypot(g[0], g[1]), 1e-6);
  EXPECT_EQ(s.gradient_norm, std::hypot(g[0], g[1]));
  EXPECT_EQ(s.value, bowl_.value(x.data()));
  EXPECT_EQ(static_cast<int>(s.history.size()), s.solves);
  EXPECT_EQ(s.history.front().value, bowl_.value(Numbers{10, -10}.data()));
}

TEST_F(Minimize, EveryTestOfTheBoxStops) {
  const auto termination = [&](MinimizeOptions o, const char* name = "sgd") {
    Numbers x{10, -10};
    o.gradient_scaled = o.gradient_fallback = 0;
    const Summary s = run(name, {}, bowl_, x, o);
    EXPECT_EQ(s.value, bowl_.value(x.data())) << name_of(s.termination);
    EXPECT_FALSE(s.message.empty());
    return s.termination;
  };
  EXPECT_EQ(termination({.gradient_absolute = 0.1}), Termination::gradient);
  EXPECT_EQ(termination({.gradient_relative = 0.01}), Termination::gradient);
  EXPECT_EQ(termination({.step = 1e-3}), Termination::step);
  EXPECT_EQ(termination({.loss = 1e-3}, "hso"), Termination::loss);
  EXPECT_EQ(termination({.target = 0.0}), Termination::target);
  EXPECT_EQ(termination({.max_steps = 3}), Termination::steps);
  EXPECT_EQ(termination({.max_evaluations = 5}), Termination::evaluations);
  EXPECT_EQ(termination({.max_seconds = 0}), Termination::time);
  EXPECT_EQ(termination({.callback = [](const StepRecord& r, const StepReport&) { return r.step < 2; }}),
            Termination::stopped_by_user);
  std::vector<std::string> names;
  for (int v = 0; v <= static_cast<int>(Termination::saddle); ++v) names.push_back(name_of(Termination(v)));
  EXPECT_EQ(names.front(), "gradient");
  EXPECT_EQ(names.back(), "saddle");
}

TEST_F(Minimize, CountsWhatWasAsked) {
  std::int64_t values = 0, gradients = 0, hessians = 0;
  FunctionObjective<double> f(*cpu_, 2,
                              {.value =
                                   [&](const double* x, double* g) {
                                     ++(g != nullptr ? gradients : values);
                                     return g != nullptr ? bowl_.gradient(x, g) : bowl_.value(x);
                                   },
                               .hessian =
                                   [&](const double*, double* h) {
                                     ++hessians;
                                     for (double e : {4.0, 1.0, 1.0, 3.0}) *h++ = e;
                                   }});
  Numbers x{10, -10};
  const Summary s = minimize(f, x);
  EXPECT_EQ(s.values, values);
  EXPECT_EQ(s.gradients, gradients);
  EXPECT_EQ(s.solves, hessians);
  EXPECT_EQ(s.hessians, hessians);
  EXPECT_EQ(s.products, 0);  // with a matrix at hand they evaluate nothing
  EXPECT_LE(s.steps, s.solves);
}

TEST_F(Minimize, AWrongGradientStalls) {
  auto f = function(1, [](const double* x, double* g) {
    if (g != nullptr) *g = -2 * x[0];
    return x[0] * x[0];
  });
  Numbers x{0.1};
  const Summary s = minimize(f, x);
  EXPECT_EQ(s.termination, Termination::stalled) << s.message;
  EXPECT_EQ(x, Numbers{0.1});
}

TEST_F(Minimize, AFunctionWithoutAMinimumIsAVerdictAndNotALoop) {
  auto concave = function(2, [](const double* x, double* g) {
    if (g != nullptr) {
      g[0] = 2 * x[0];
      g[1] = -2 * x[1];
    }
    return x[0] * x[0] - x[1] * x[1];
  });
  auto linear = function(1, [](const double* x, double* g) {
    if (g != nullptr) *g = 3;
    return 3 * x[0];
  });
  auto hole = function(1, [](const double* x, double* g) {
    if (g != nullptr) *g = 1 / x[0];
    return x[0] > 0.25 ? std::log(x[0]) : -std::numeric_limits<double>::infinity();
  });
  Numbers x{1, 1e-3};
  EXPECT_EQ(minimize(concave, x).termination, Termination::unbounded);
  Numbers y{1}, z{1};
  EXPECT_EQ(minimize(linear, y).termination, Termination::unbounded);
  EXPECT_EQ(minimize(hole, z).termination, Termination::unbounded);
  EXPECT_GT(z[0], 0.25);
}

TEST_F(Minimize, NumbersThatAreNoneAreAVerdict) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  auto nowhere = function(1, [nan](const double*, double* g) {
    if (g != nullptr) *g = nan;
    return nan;
  });
  Numbers x{2};
  EXPECT_EQ(minimize(nowhere, x).termination, Termination::not_finite);
  EXPECT_EQ(x, Numbers{2});
  // Only inside (0, inf): trials outside are rejected like any bad step.
  auto barrier = function(1, [](const double* at, double* g) {
    if (g != nullptr) *g = 1 - 1e-3 / at[0];
    return at[0] - 1e-3 * std::log(at[0]);
  });
  Numbers y{5};
  const Summary s = minimize(barrier, y);
  EXPECT_TRUE(s.converged()) << name_of(s.termination) << s.message;
  EXPECT_NEAR(y[0], 1e-3, 1e-8);
  Quadratic flat(*cpu_, {1, 0, 0, 0}, {1, 1});
  Numbers z{0, 0};
  EXPECT_EQ(run("hso", kNewton, flat, z).termination, Termination::singular);
}

/// Every registered method: what the function throws passes, and theta is the best point that was seen.
TEST_F(Minimize, ExceptionsPassAndLeaveTheBestPoint) {
  struct Out : std::runtime_error {
    using std::runtime_error::runtime_error;
  };
  for (const OptimizerInfo& info : optimizer_table()) {
    if (info.needs_network) continue;
    for (int last : {0, 1, 7, 20}) {
      int calls = 0;
      FunctionObjective<double> f(*cpu_, 2, {.value = [&](const double* x, double* g) {
        if (calls++ == last) throw Out("enough");
        return g != nullptr ? bowl_.gradient(x, g) : bowl_.value(x);
      }});
      Numbers x{3, 4};
      const double before = bowl_.value(x.data());
      OptimizerSettings settings;
      for (const OptionInfo& option : info.options)
        if (option.name == "curvature" && option.default_value == "ggn") settings["curvature"] = "hessian";
      MinimizeOptions endless{.gradient_absolute = 0, .gradient_scaled = 0};
      endless.max_steps = 100;
      try {
        run(info.name, settings, f, x, endless);
      } catch (const Out&) {
      }
      EXPECT_LE(bowl_.value(x.data()), before) << info.name << " after " << last;
      EXPECT_TRUE(last > 0 || x == (Numbers{3, 4})) << info.name;
    }
  }
}

TEST_F(Minimize, ADivergingMethodLeavesTheBestPoint) {
  Numbers x{3, 4};
  const Summary s = run("sgd", {{"rate", "10"}}, bowl_, x, {.max_steps = 10});
  EXPECT_EQ(s.termination, Termination::steps);
  EXPECT_EQ(x, (Numbers{3, 4}));
  EXPECT_EQ(s.value, bowl_.value(x.data()));
}

/// x^2 / 2 - y^2 / 2 + y^4 / 4 has a strict saddle at 0 and minima at y = 1 and y = -1.
TEST_F(Minimize, RawIsCaughtByASaddleThatAbsLeaves) {
  FunctionObjective<double> f(*cpu_, 2,
                              {.value =
                                   [](const double* x, double* g) {
                                     const double x2 = x[0] * x[0], y2 = x[1] * x[1];
                                     if (g != nullptr) {
                                       g[0] = x[0];
                                       g[1] = x[1] * (y2 - 1);
                                     }
                                     return x2 / 2 - y2 / 2 + y2 * y2 / 4;
                                   },
                               .hessian =
                                   [](const double* x, double* h) {
                                     h[0] = 1;
                                     h[1] = h[2] = 0;
                                     h[3] = 3 * x[1] * x[1] - 1;
                                   }});
  Numbers caught{1, 1e-9}, free{1, 1e-9}, robust{1, 1e-9};
  const MinimizeOptions by_gradient{.gradient_absolute = 1e-8, .gradient_scaled = 0};
  const Summary raw = run("hso", kNewton, f, caught, by_gradient);
  EXPECT_EQ(raw.termination, Termination::saddle) << raw.message;
  EXPECT_NEAR(std::hypot(caught[0], caught[1]), 0, 1e-8);
  const Summary abs = run("hso", {{"sign", "abs"}, {"eps_scale", "0"}}, f, free, by_gradient);
  EXPECT_TRUE(abs.converged()) << abs.message;
  EXPECT_NEAR(std::fabs(free[1]), 1, 1e-8);
  EXPECT_TRUE(minimize(f, robust).converged());
  EXPECT_NEAR(std::fabs(robust[1]), 1, 1e-6);
}

TEST_F(Minimize, BadOptionsAreNamed) {
  Numbers x{1, 1};
  const auto message = [&](const MinimizeOptions& o) { return message_of<UsageError>([&] { minimize(bowl_, x, o); }); };
  EXPECT_TRUE(contains(message({.gradient_absolute = -1}), "gradient_absolute = -1"));
  EXPECT_TRUE(contains(message({.max_steps = -1}), "max_steps"));
  EXPECT_TRUE(contains(message({.max_rejections = 0}), "max_rejections"));
  EXPECT_TRUE(contains(message({.target = std::nan("")}), "target"));
  const auto option = [&](const OptimizerSettings& s) {
    return message_of<UsageError>([&] { make_optimizer<double>("hso", s); });
  };
  EXPECT_TRUE(contains(option({{"eps", "-1"}}), "eps = -1"));
  EXPECT_TRUE(contains(option({{"delta", "-1"}}), "delta = -1"));
  EXPECT_TRUE(contains(option({{"radius", "0"}}), "radius = 0"));
  EXPECT_TRUE(contains(option({{"control", "trust"}}), "trust_region"));
  EXPECT_TRUE(contains(option({{"scaling", "up"}}), "curvature"));
  EXPECT_TRUE(contains(option({{"raduis", "1"}}), "radius"));
}

/// In exact arithmetic the steps in units of the curvature do not depend on the units of theta.
TEST_F(Minimize, StepsInUnitsOfTheCurvatureDoNotDependOnTheUnits) {
  const double unit[] = {1e-6, 1e4};
  const auto rosenbrock = [](const double* x, double* g) {
    const double a = x[1] - x[0] * x[0], b = 1 - x[0];
    if (g != nullptr) {
      g[0] = -400 * x[0] * a - 2 * b;
      g[1] = 200 * a;
    }
    return 100 * a * a + b * b;
  };
  const auto in_units = [&](const double* s) {
    return FunctionObjective<double>(*cpu_, 2,
                                     {.value =
                                          [=](const double* x, double* g) {
                                            const double y[] = {x[0] / s[0], x[1] / s[1]};
                                            const double f = rosenbrock(y, g);
                                            for (int i = 0; g != nullptr && i < 2; ++i) g[i] /= s[i];
                                            return f;
                                          },
                                      .hessian =
                                          [=](const double* x, double* h) {
                                            const double y0 = x[0] / s[0], y1 = x[1] / s[1];
                                            h[0] = (1200 * y0 * y0 - 400 * y1 + 2) / (s[0] * s[0]);
                                            h[1] = h[2] = -400 * y0 / (s[0] * s[1]);
                                            h[3] = 200 / (s[1] * s[1]);
                                          }});
  };
  const double ones[] = {1, 1};
  auto plain = in_units(ones), scaled = in_units(unit);
  Numbers x{-1.2, 1}, y{-1.2 * unit[0], unit[1]};
  const MinimizeOptions few{.max_steps = 8};
  minimize(plain, x, few);
  minimize(scaled, y, few);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(y[i] / unit[i], x[i], 1e-9);
}

TEST_F(Minimize, TheTrustRegionKeepsItsRadius) {
  Numbers x{1, 0.5};
  StepReport last;
  MinimizeOptions one{.max_steps = 1};
  for (const char* sign : {"raw", "abs", "clip", "shift", "truncate"})
    for (const char* eps_scale : {"0", "0.5"}) {
      const bool steps_off = std::string(sign) != "truncate";  // whose inverse keeps negative directions: they climb
      Quadratic saddle(*cpu_, {1e-3, 0, 0, steps_off ? -1e-3 : 2e-3}, {1, 1});
      x = {1, 0.5};
      const Summary s =
          run("hso", {{"control", "trust_region"}, {"radius", "0.1"}, {"sign", sign}, {"eps_scale", eps_scale}}, saddle,
              x, one);
      EXPECT_EQ(s.steps, 1) << sign;
      // The secular equation is solved to a tenth.
      EXPECT_LE(s.last.step_norm, 0.1 * std::hypot(1, 0.5) * (1 + 1e-12)) << sign;
      EXPECT_GE(s.last.step_norm, 0.08 * std::hypot(1, 0.5)) << sign;
    }
}

TEST_F(Minimize, WorksInFloat) {
  FunctionObjective<float> f(*cpu_, 2, {.value = [](const float* x, float* g) {
    if (g != nullptr) {
      g[0] = 2 * (x[0] - 1);
      g[1] = 8 * (x[1] + 2);
    }
    return static_cast<double>((x[0] - 1) * (x[0] - 1) + 4 * (x[1] + 2) * (x[1] + 2));
  }});
  std::vector<float> x{5, 5};
  const Summary s = minimize(f, x, {.target = 1e-6});
  EXPECT_LE(s.value, 1e-6) << name_of(s.termination) << s.message;
  EXPECT_NEAR(x[0], 1, 1e-3);
}

}  // namespace
}  // namespace hso::test
