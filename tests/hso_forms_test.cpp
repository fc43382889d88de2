// SPDX-License-Identifier: Apache-2.0
//
// The forms of HSO that scale, against the dense formula and against systems solved by hand.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

class HsoForms : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, HsoForms, testing::ValuesIn(contexts()), device_word);

const OptimizerSettings kExact{{"delta", "0"}, {"adaptive", "false"}};

/// Quadratics live in host memory.
struct OnHost {
  std::unique_ptr<Context> cpu = Context::create("cpu");
  SymmetricCase c = with_spectrum("quadratic", {0.5, 1, 2, 3, 5, 8}, 4);
  Numbers b = random_numbers(6, 5);
  Quadratic f{*cpu, c.matrix, b};
  Numbers gradient_at(const Numbers& x) {
    Numbers g(6);
    f.gradient(x.data(), g.data());
    return g;
  }
};

double norm(const Numbers& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return std::sqrt(sum);
}

TEST(HsoFormsOfQuadratics, NewtonFormsSolveThemInOneStep) {
  OnHost q;
  for (const auto& [name, settings] :
       {std::pair{"hso.lowrank", with(kExact, {{"rank", "6"}, {"eps_scale", "0"}})},
        std::pair{"hso.cg", with(kExact, {{"iterations", "12"}, {"tolerance", "1e-13"}, {"progress", "0"}})}}) {
    Numbers x = random_numbers(6, 7);
    const double before = norm(q.gradient_at(x));
    const StepReport r = make_optimizer<double>(name, settings)->step(q.f, x.data());
    EXPECT_EQ(r.status, StepStatus::accepted) << name << r.message;
    EXPECT_LE(norm(q.gradient_at(x)), 1e-11 * before) << name;
  }
}

/// theta -= (V_r diag(1 / (lambda + delta)) V_r' + eps I + eps_P P) g with the two largest pairs and eps_P =
/// 0.5 / (5 + delta), P = I - V_r V_r'.
TEST(HsoFormsOfQuadratics, LowRankIsTheFormula) {
  OnHost q;
  const Numbers start = random_numbers(6, 8);
  Numbers x = start;
  const double delta = 0.1, eps = 0.01;
  const StepReport r = make_optimizer<double>("hso.lowrank", {{"rank", "2"},
                                                              {"start", "random"},
                                                              {"delta", "0.1"},
                                                              {"eps", "0.01"},
                                                              {"eps_scale", "0.5"},
                                                              {"tolerance", "1e-12"},
                                                              {"subspace", "false"},
                                                              {"adaptive", "false"}})
                           ->step(q.f, x.data());
  ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
  Buffer<double> a(*q.cpu, q.c.matrix);
  const EighResult e = eigh(*q.cpu, a.view().reshaped({6, 6}));
  const Numbers v = a.download(), g = q.gradient_at(start);
  Numbers expected = start;
  for (std::size_t p = 0; p < 6; ++p) {
    double along = 0;
    for (std::size_t i = 0; i < 6; ++i) along += v[6 * p + i] * g[i];
    const double inverse = p >= 4 ? 1 / (e.values[p] + delta) : 0.5 / (5 + delta);
    for (std::size_t i = 0; i < 6; ++i) expected[i] -= (inverse + eps) * along * v[6 * p + i];
  }
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(x[i], expected[i], 1e-10);
}

/// From the gradient, r steps of Lanczos give what r iterations of conjugate gradients give: the minimum of the model
/// over the Krylov space.
TEST(HsoFormsOfQuadratics, LowRankFromTheGradientIsConjugateGradients) {
  OnHost q;
  for (const char* r : {"1", "2", "4"}) {
    Numbers x = random_numbers(6, 8), y = x;
    const OptimizerSettings common{{"curvature", "hessian"}, {"delta", "0.05"}};
    make_optimizer<double>("hso.lowrank", with(common, {{"rank", r}}))->step(q.f, x.data());
    make_optimizer<double>("hso.cg", with(common, {{"iterations", r}, {"tolerance", "1e-15"}}))->step(q.f, y.data());
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(x[i], y[i], 1e-11) << r;
  }
}

/// With pairs of an earlier gradient the model's minimum over the kept part and the rest is no worse than with any
/// other lengths: the gradient of the damped model is orthogonal to both, so to the step.
TEST(HsoFormsOfQuadratics, LowRankWithOldPairsTakesTheModelsMinimumOverBothParts) {
  OnHost q;
  Numbers x = random_numbers(6, 8);
  auto optimizer =
      make_optimizer<double>("hso.lowrank", {{"rank", "2"}, {"refresh", "10"}, {"delta", "0"}, {"adaptive", "false"}});
  for (int k = 0; k < 5; ++k) {
    const Numbers before = x, g = q.gradient_at(x);
    const StepReport r = optimizer->step(q.f, x.data());
    ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
    // Two of Lanczos or of the two parts, one of the step, and from the second one on one of the last displacement.
    EXPECT_EQ(r.products, k == 0 ? 3 : 4) << k;
    const Numbers after = q.gradient_at(x);
    double slope = 0;
    for (std::size_t i = 0; i < 6; ++i) slope += after[i] * (x[i] - before[i]);
    EXPECT_NEAR(slope, 0, 1e-12 * norm(g) * norm(g)) << k;
  }
}

/// The step is the same, and between refreshes nothing but the gradient is asked for.
TEST(HsoFormsOfQuadratics, LowRankUnjudgedTakesTheSameStepWithoutProductOrValue) {
  OnHost q;
  const OptimizerSettings settings{{"rank", "3"}, {"start", "random"}, {"subspace", "false"}, {"refresh", "5"}};
  Numbers judged = random_numbers(6, 9), taken = judged;
  ASSERT_EQ(make_optimizer<double>("hso.lowrank", settings)->step(q.f, judged.data()).status, StepStatus::accepted);
  const auto optimizer = make_optimizer<double>("hso.lowrank", with(settings, {{"judged", "false"}}));
  EXPECT_FALSE(optimizer->full_batch());
  const StepReport first = optimizer->step(q.f, taken.data());
  EXPECT_EQ(first.loss_after, first.loss_before);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(taken[i], judged[i], 1e-12);
  const StepReport second = optimizer->step(q.f, taken.data());
  EXPECT_EQ(second.status, StepStatus::accepted);
  EXPECT_GT(first.products, 0);
  EXPECT_EQ(second.products, 0);
  EXPECT_LT(second.loss_before, first.loss_before);
}

/// A saddle: conjugate gradients meet negative curvature until the damping exceeds it.
TEST(HsoFormsOfQuadratics, CgDampsWhatIsNotPositiveDefinite) {
  const auto cpu = Context::create("cpu");
  const SymmetricCase c = with_spectrum("saddle", {-1, 2, 3}, 4);
  Quadratic f(*cpu, c.matrix, {1, 1, 1});
  Numbers x{0.1, -0.2, 0.3};
  const double before = f.value(x.data());
  const StepReport r =
      make_optimizer<double>("hso.cg", {{"curvature", "hessian"}, {"delta", "0.01"}})->step(f, x.data());
  EXPECT_EQ(r.status, StepStatus::accepted) << r.message;
  EXPECT_GT(r.trials, 1);
  EXPECT_LT(f.value(x.data()), before);
  Numbers y{0.1, -0.2, 0.3};
  const StepReport fixed =
      make_optimizer<double>("hso.cg", {{"curvature", "hessian"}, {"delta", "0"}, {"adaptive", "false"}})
          ->step(f, y.data());
  EXPECT_EQ(fixed.status, StepStatus::rejected);
  EXPECT_TRUE(contains(fixed.message, "hso.cg", "negative_curvature"));
  EXPECT_EQ(y, (Numbers{0.1, -0.2, 0.3}));
}

/// Where K-FAC is exact (softmax regression at theta = 0) its step solves the damped Gauss-Newton system.
TEST_P(HsoForms, KroneckerStepsAreNewtonStepsWhereTheFactorsAreExact) {
  Setting<double> s(context(), "mlp:5-3", LossKind::cross_entropy, 40);
  context().ops<double>().fill(s.n(), 0, s.theta.data());
  auto f = s.objective();
  Buffer<double> g(context(), s.n()), x(context(), s.n());
  f.gradient(s.theta.data(), g.data());
  const auto ggn = f.curvature(s.theta.data(), Curvature::ggn);
  AffineOperator<double> damped(*ggn, 1, 0.05);
  ASSERT_TRUE(cg<double>(damped, g.view(), x.view(), {.tolerance = 1e-13}).converged());
  const Numbers newton = x.download();
  for (const char* name : {"hso.kfac", "hso.ekfac"}) {
    Buffer<double> theta(context(), Numbers(static_cast<std::size_t>(s.n())));
    const OptimizerSettings settings{
        {"factors", "ggn"}, {"damping", "joint"}, {"delta", "0.05"}, {"eps_scale", "0"}, {"rescale", "false"}};
    const StepReport r = make_optimizer<double>(name, settings)->step(f, theta.data());
    ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
    const Numbers moved = theta.download();
    for (std::size_t i = 0; i < moved.size(); ++i) EXPECT_NEAR(moved[i], -newton[i], 1e-10) << name;
  }
}

/// Ten steps of every form from one start; plain gradient steps of the best of some rates beside them.
TEST_P(HsoForms, EveryFormTrainsANetworkFasterThanGradientDescent) {
  const auto loss_after = [&](const std::string& name, const OptimizerSettings& settings) {
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto f = s.objective({.weight_decay = 1e-3});
    auto optimizer = make_optimizer<double>(name, settings);
    for (int i = 0; i < 10; ++i) {
      const double before = f.value(s.theta.data());
      const StepReport r = optimizer->step(f, s.theta.data());
      if (name.rfind("hso", 0) == 0) {
        EXPECT_TRUE(r.status == StepStatus::accepted || r.status == StepStatus::rejected) << r.message;
        EXPECT_LE(f.value(s.theta.data()), before);
        EXPECT_NEAR(r.loss_after, f.value(s.theta.data()), 1e-12);
      }
    }
    return f.value(s.theta.data());
  };
  double plain = std::numeric_limits<double>::infinity();
  for (const char* rate : {"0.1", "0.3", "1", "3"}) plain = std::min(plain, loss_after("sgd", {{"rate", rate}}));
  for (const auto& [name, settings] : {std::pair<std::string, OptimizerSettings>{"hso.lowrank", {{"rank", "20"}}},
                                       {"hso.lowrank", {{"rank", "20"}, {"refresh", "3"}, {"curvature", "ggn"}}},
                                       {"hso.lowrank", {{"rank", "20"}, {"start", "random"}, {"refresh", "3"}}},
                                       {"hso.cg", {}},
                                       {"hso.kfac", {}},
                                       {"hso.kfac", {{"refresh", "3"}}},
                                       {"hso.kfac", {{"factors", "ggn"}, {"damping", "joint"}, {"decay", "0"}}},
                                       {"hso.kfac", {{"factors", "fisher_mc"}, {"decay", "0.9"}}},
                                       {"hso.kfac", {{"damping", "factored"}, {"factor_every", "2"}}},
                                       {"hso.ekfac", {{"factors", "ggn"}, {"decay", "0"}}},
                                       {"hso.ekfac", {}}})
    EXPECT_LT(loss_after(name, settings), plain) << name;
}

TEST_P(HsoForms, WhatMakesNoSenseIsRefused) {
  EXPECT_THROW(make_optimizer<double>("hso.lowrank", {{"rank", "-1"}}), UsageError);
  EXPECT_THROW(make_optimizer<double>("hso.lowrank", {{"rank", "8"}, {"steps", "7"}}), UsageError);
  EXPECT_THROW(make_optimizer<double>("hso.cg", {{"iterations", "0"}}), UsageError);
  EXPECT_THROW(make_optimizer<double>("hso.kfac", {{"delta", "-1"}}), UsageError);
  EXPECT_TRUE(contains(message_of<UsageError>([] { make_optimizer<double>("hso.lowrank", {{"rnak", "3"}}); }), "rank"));
  OnHost q;
  Numbers x(6, 1.0);
  EXPECT_TRUE(contains(message_of<UsageError>([&] {
                         make_optimizer<double>("hso.lowrank", {{"rank", "7"}})->step(q.f, x.data());
                       }),
                       "rank = 7", "at most n = 6"));
  EXPECT_TRUE(contains(message_of<UsageError>([&] { make_optimizer<double>("hso.kfac")->step(q.f, x.data()); }), "kfac",
                       "no layers"));
  const auto cpu = Context::create("cpu");
  Callback broken(*cpu, 2, [](const double*, double* g) {
    if (g != nullptr) g[0] = g[1] = std::numeric_limits<double>::quiet_NaN();
    return 1.0;
  });
  for (const char* name : {"hso.lowrank", "hso.cg"}) {
    Numbers y{1, 2};
    const StepReport r = make_optimizer<double>(name, {{"curvature", "hessian"}})->step(broken, y.data());
    EXPECT_EQ(r.status, StepStatus::not_finite) << name;
    EXPECT_EQ(y, (Numbers{1, 2}));
  }
}

}  // namespace
}  // namespace hso::test
