// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/optim/quasi_newton.hpp"

#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/operators.hpp"
#include "optim/quasi_newton/sr1_update.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"
#include "support/rosenbrock.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

using namespace detail;

class QuasiNewton : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, QuasiNewton, testing::ValuesIn(contexts()), device_word);

double norm(const Numbers& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

// ---- the update ----

/// With y = A s, n independent steps make the matrix A itself, whatever it started from, and with the pairs exchanged
/// its inverse (Nocedal and Wright 2006, theorem 6.1).
TEST_P(QuasiNewton, RankOneUpdatesFindTheMatrixAndItsInverse) {
  const Index n = 7;
  const SymmetricCase c = with_spectrum("indefinite", {-2, -0.5, 0.7, 1, 2, 3, 5}, 3);
  auto& ops = context().ops<double>();
  Buffer<double> a(context(), c.matrix), m(context(), n * n), inverse(context(), n * n), y(context(), n),
      r(context(), n);
  for (Buffer<double>* b : {&m, &inverse}) {
    ops.fill(n * n, 0, b->data());
    ops.for_each(1, n, AddDiagonal<double>{b->data(), n, 1});
  }
  for (Index k = 0; k < n; ++k) {
    Buffer<double> s(context(), random_numbers(static_cast<std::size_t>(n), 20 + static_cast<std::uint64_t>(k)));
    ops.gemm({n, 1, n, a.data(), n, false, s.data(), 1, false, y.data(), 1});
    EXPECT_TRUE(sr1_update(ops, n, m.data(), s.data(), y.data(), r.data(), 1e-8));
    EXPECT_TRUE(sr1_update(ops, n, inverse.data(), y.data(), s.data(), r.data(), 1e-8));
  }
  // Roundings grow with the reciprocals of the r's on the way.
  EXPECT_LE(worst(m.download(), c.matrix), 1e-9);
  Numbers identity(static_cast<std::size_t>(n * n));
  for (std::size_t i = 0; i < 7; ++i) identity[i * 8] = 1;
  EXPECT_LE(worst(multiply(inverse.download(), c.matrix, n, n, n), identity), 1e-9);
}

TEST_P(QuasiNewton, RankOneUpdatesAreSkippedWhereTheyExplode) {
  auto& ops = context().ops<double>();
  Buffer<double> m(context(), Numbers{1, 0, 0, 1}), s(context(), Numbers{1, 0}), r(context(), 2);
  Buffer<double> y(context(), Numbers{1 + 1e-10, 1});  // r = (1e-10, 1): r's = 1e-10 |r| |s|
  EXPECT_FALSE(sr1_update(ops, 2, m.data(), s.data(), y.data(), r.data(), 1e-8));
  EXPECT_EQ(m.download(), (Numbers{1, 0, 0, 1}));
  y = Buffer<double>(context(), Numbers{std::numeric_limits<double>::infinity(), 1});
  EXPECT_FALSE(sr1_update(ops, 2, m.data(), s.data(), y.data(), r.data(), 1e-8));
  EXPECT_EQ(m.download(), (Numbers{1, 0, 0, 1}));
  EXPECT_TRUE(sr1_update(ops, 2, m.data(), s.data(), s.data(), r.data(), 1e-8)) << "nothing to learn";
}

// ---- the methods ----

struct OnHost {
  std::unique_ptr<Context> cpu = Context::create("cpu");
  SymmetricCase c = with_spectrum("quadratic", {0.5, 1, 2, 3, 5, 8, 20, 40}, 4);
  Quadratic f{*cpu, c.matrix, random_numbers(8, 5)};
  double slope_at(const Numbers& x) {
    Numbers g(8);
    f.gradient(x.data(), g.data());
    return norm(g);
  }
};

/// Exact line searches make it conjugate gradients, whatever the memory: n steps on a quadratic of n variables. Few
/// pairs conjugate less where the searches are not quite exact.
TEST(QuasiNewtonMethods, LbfgsEndsOnAQuadraticInAsManySteps) {
  OnHost q;
  for (const int memory : {2, 10}) {
    Numbers x = random_numbers(8, 7);
    const double before = q.slope_at(x);
    auto optimizer = make_lbfgs<double>({.memory = memory, .curvature = 1e-3});
    int steps = 0;
    while (q.slope_at(x) > 1e-10 * before && steps < 100) {
      ASSERT_EQ(optimizer->step(q.f, x.data()).status, StepStatus::accepted);
      ++steps;
    }
    EXPECT_LE(steps, memory < 8 ? 14 : 9) << "memory " << memory;
  }
}

TEST(QuasiNewtonMethods, NewtonCgSolvesAQuadraticInOneTightStep) {
  OnHost q;
  Numbers x = random_numbers(8, 7);
  const double before = q.slope_at(x);
  const StepReport r = make_newton_cg<double>({.forcing = 1e-13})->step(q.f, x.data());
  ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
  EXPECT_LE(q.slope_at(x), 1e-11 * before);
  EXPECT_EQ(r.trials, 1);
  EXPECT_EQ(r.gradients, 1);
  EXPECT_GE(r.products, 8);
  EXPECT_NEAR(r.loss_after, q.f.value(x.data()), 1e-12);
}

TEST(QuasiNewtonMethods, NewtonCgGoesAlongTheGradientWhereItsCurvatureIsNegative) {
  const auto cpu = Context::create("cpu");
  Quadratic concave(*cpu, {-1, 0, 0, 0, -1, 0, 0, 0, -1}, {-1, -2, -3});
  Numbers x(3);
  const StepReport r = make_newton_cg<double>({})->step(concave, x.data());
  ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
  EXPECT_EQ(x, (Numbers{-1, -2, -3})) << "- g";
  EXPECT_NEAR(r.step_norm, std::sqrt(14), 1e-14);
  EXPECT_EQ(std::get<std::string>(r.metrics.front().second), "negative_curvature");
}

TEST(QuasiNewtonMethods, AllReachTheMinimumOfRosenbrocksValley) {
  const auto cpu = Context::create("cpu");
  Rosenbrock f(*cpu, 4);
  for (const auto& [name, most] : {std::pair{"lbfgs", 80}, {"sr1", 80}, {"newton_cg", 160}}) {
    auto optimizer = make_optimizer<double>(name);
    Numbers x{-1.2, 1, -1.2, 1};
    int steps = 0;
    while (Rosenbrock::distance(x) > 1e-8 && steps < most) {
      const double before = f.value(x.data());
      const StepReport r = optimizer->step(f, x.data());
      ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
      ASSERT_LT(f.value(x.data()), before) << name;
      ASSERT_NEAR(r.loss_after, f.value(x.data()), 1e-14 + 1e-14 * before) << name;
      ++steps;
    }
    EXPECT_LE(Rosenbrock::distance(x), 1e-8) << name;
  }
  double plain = 10;
  for (const char* rate : {"0.0005", "0.001", "0.002"}) {
    auto sgd = make_optimizer<double>("sgd", {{"rate", rate}});
    Numbers x{-1.2, 1, -1.2, 1};
    for (int i = 0; i < 1000; ++i) sgd->step(f, x.data());
    if (std::isfinite(x[0])) plain = std::min(plain, Rosenbrock::distance(x));
  }
  EXPECT_GT(plain, 1e-3) << "gradient descent after 1,000 steps";
}

/// f = (x^2 - y^2) / 2 + y^4 / 4 beside its saddle: minima at (0, +-1).
TEST(QuasiNewtonMethods, NegativeCurvatureIsLeft) {
  const auto cpu = Context::create("cpu");
  Callback f(*cpu, 2, [](const double* x, double* g) {
    if (g != nullptr) g[0] = x[0], g[1] = -x[1] + x[1] * x[1] * x[1];
    return (x[0] * x[0] - x[1] * x[1]) / 2 + std::pow(x[1], 4) / 4;
  });
  for (const char* name : {"lbfgs", "sr1", "newton_cg"}) {
    auto optimizer = make_optimizer<double>(name);
    Numbers x{0.5, 1e-3};
    for (int i = 0; i < 40; ++i) optimizer->step(f, x.data());
    EXPECT_NEAR(x[0], 0, 1e-6) << name;
    EXPECT_NEAR(std::fabs(x[1]), 1, 1e-6) << name;
  }
}

/// f = x - log x: not defined for x <= 0, where long steps land.
TEST(QuasiNewtonMethods, TrialsThatAreNotFiniteAreShortened) {
  const auto cpu = Context::create("cpu");
  Callback f(*cpu, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = 1 - 1 / x[0];
    return x[0] - std::log(x[0]);
  });
  for (const auto& [name, settings] :
       {std::pair<std::string, OptimizerSettings>{"lbfgs", {}}, {"sr1", {{"radius", "20"}}}, {"newton_cg", {}}}) {
    auto optimizer = make_optimizer<double>(name, settings);
    Numbers x{15};
    int trials = 0, steps = 0;
    for (; std::fabs(x[0] - 1) > 1e-6 && steps < 60; ++steps) trials += optimizer->step(f, x.data()).trials;
    EXPECT_NEAR(x[0], 1, 1e-6) << name;
    EXPECT_GT(trials, steps) << name << ": no trial was refused";
  }
}

TEST(QuasiNewtonMethods, WrongGradientsAreRefusedAndWhatIsUnboundedIsSaid) {
  const auto cpu = Context::create("cpu");
  Callback wrong(*cpu, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = -2 * x[0];
    return x[0] * x[0];
  });
  for (const char* name : {"lbfgs", "sr1", "newton_cg"}) {
    Numbers x{0.1};
    const OptimizerSettings settings =
        std::string(name) == "newton_cg" ? OptimizerSettings{{"curvature", "finite_difference"}} : OptimizerSettings{};
    const StepReport r = make_optimizer<double>(name, settings)->step(wrong, x.data());
    EXPECT_EQ(r.status, StepStatus::rejected) << name;
    EXPECT_EQ(x, Numbers{0.1}) << name;
    EXPECT_EQ(r.loss_after, r.loss_before);
    EXPECT_TRUE(contains(r.message, name, "parameters unchanged"));
  }
  Callback falling(*cpu, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = -1;
    return -x[0];
  });
  Numbers x{0};
  const StepReport r = make_lbfgs<double>({.max_trials = 60})->step(falling, x.data());
  EXPECT_EQ(r.status, StepStatus::accepted);
  EXPECT_TRUE(contains(r.message, "still falls as steeply"));
}

TEST(QuasiNewtonMethods, WhatMakesNoSenseIsRefused) {
  const auto message = [](const std::string& name, const OptimizerSettings& settings) {
    return message_of<UsageError>([&] { make_optimizer<double>(name, settings); });
  };
  EXPECT_TRUE(contains(message("lbfgs", {{"memory", "0"}}), "memory = 0", "at least 1"));
  EXPECT_TRUE(contains(message("lbfgs", {{"curvature", "1e-5"}}), "curvature", "above decrease"));
  EXPECT_TRUE(contains(message("sr1", {{"radius", "0"}}), "radius = 0"));
  EXPECT_TRUE(contains(message("newton_cg", {{"forcing", "1"}}), "forcing = 1"));
  EXPECT_TRUE(contains(message("newton_cg", {{"curvature", "hessain"}}), "hessian"));
}

TEST_P(QuasiNewton, TrainNetworksFasterThanGradientDescent) {
  const auto loss_after = [&](const std::string& name, const OptimizerSettings& settings) {
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto f = s.objective({.weight_decay = 1e-3});
    auto optimizer = make_optimizer<double>(name, settings);
    for (int i = 0; i < 15; ++i) {
      const double before = f.value(s.theta.data());
      const StepReport r = optimizer->step(f, s.theta.data());
      if (name != "sgd") {
        EXPECT_LE(f.value(s.theta.data()), before) << name;
      }
    }
    return f.value(s.theta.data());
  };
  double plain = std::numeric_limits<double>::infinity();
  for (const char* rate : {"0.1", "0.3", "1", "3"}) plain = std::min(plain, loss_after("sgd", {{"rate", rate}}));
  for (const auto& [name, settings] : {std::pair<std::string, OptimizerSettings>{"lbfgs", {}},
                                       {"lbfgs", {{"iterations", "3"}}},
                                       {"sr1", {}},
                                       {"newton_cg", {}},
                                       {"newton_cg", {{"curvature", "ggn"}}}})
    EXPECT_LT(loss_after(name, settings), plain) << name;
}

TEST_P(QuasiNewton, WorkInFloat) {
  for (const char* name : {"lbfgs", "sr1", "newton_cg"}) {
    Setting<float> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto f = s.objective();
    auto optimizer = make_optimizer<float>(name);
    const double before = f.value(s.theta.data());
    for (int i = 0; i < 15; ++i) optimizer->step(f, s.theta.data());
    EXPECT_LT(f.value(s.theta.data()), 0.9 * before) << name;
  }
}

}  // namespace
}  // namespace hso::test
