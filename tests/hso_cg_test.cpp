// SPDX-License-Identifier: Apache-2.0
//
// The matrix-free form of HSO: its way back through the iterates, its trust region, and a network whose gradients
// vanish.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "optim/hso/model_cg.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

class HsoCg : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, HsoCg, testing::ValuesIn(contexts()), device_word);

/// A quadratic, and a wall outside a ball that gradient and curvature do not know of.
class Walled final : public Objective<double> {
 public:
  Walled(Quadratic& q, double radius) : q_(q), radius_(radius) {}
  Context& context() const override { return q_.context(); }
  Index dimension() const override { return q_.dimension(); }
  double value(const double* x) override {
    double norm = 0;
    for (Index i = 0; i < dimension(); ++i) norm += x[i] * x[i];
    return q_.value(x) + 10 * std::max(0.0, std::sqrt(norm) - radius_);
  }
  double gradient(const double* x, double* g) override { return q_.gradient(x, g); }
  std::unique_ptr<LinearOperator<double>> curvature(const double* x, Curvature kind) override {
    return q_.curvature(x, kind);
  }

 private:
  Quadratic& q_;
  double radius_;
};

TEST(HsoCgSteps, GoBackToTheBestIterate) {
  const auto cpu = Context::create("cpu");
  const SymmetricCase c = with_spectrum("quadratic", {0.01, 0.1, 1, 3, 5, 8}, 4);
  Quadratic q(*cpu, c.matrix, random_numbers(6, 5));
  const OptimizerSettings plain{
      {"delta", "0"}, {"adaptive", "false"}, {"progress", "0"}, {"line_search", "0"}, {"tolerance", "1e-12"}};
  std::vector<Numbers> iterates;
  for (int i = 1; i <= 6; ++i) {
    Numbers x(6);
    make_optimizer<double>("hso.cg", with(plain, {{"backtrack", "0"}, {"iterations", std::to_string(i)}}))
        ->step(q, x.data());
    iterates.push_back(x);
  }
  // A wall between the third iterate and the fourth: norms grow along the iterates.
  const auto norm = [](const Numbers& x) { return std::sqrt(dot(x, x)); };
  Walled f(q, (norm(iterates[2]) + norm(iterates[3])) / 2);
  std::size_t best = 5;
  for (std::size_t i : {3u, 2u, 1u, 0u})  // kept: 1, 2, 3, 4
    if (f.value(iterates[i].data()) < f.value(iterates[best].data())) best = i;
  ASSERT_LT(best, 5u);
  Numbers x(6);
  const StepReport r =
      make_optimizer<double>("hso.cg", with(plain, {{"iterations", "6"}, {"backtrack", "8"}}))->step(f, x.data());
  ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
  EXPECT_EQ(x, iterates[best]);
  EXPECT_EQ(r.loss_after, f.value(x.data()));
}

TEST(HsoCgSteps, AreHalvedBeforeTheDampingIsRaised) {
  const auto cpu = Context::create("cpu");
  Callback f(*cpu, 1, [](const double* x, double* g) {  // log cosh: Newton from 2 overshoots far
    if (g != nullptr) *g = std::tanh(x[0]);
    return std::log(std::cosh(x[0]));
  });
  Numbers x{2};
  const OptimizerSettings settings{{"curvature", "hessian"}, {"delta", "1e-6"}};
  const StepReport r = make_optimizer<double>("hso.cg", settings)->step(f, x.data());
  EXPECT_EQ(r.status, StepStatus::accepted);
  EXPECT_EQ(r.trials, 1);
  // Newton's step is -sinh 2 cosh 2 = -13.6: 2 - 13.6 / 4 is the first of its halvings below log cosh 2.
  EXPECT_NEAR(x[0], 2 - std::sinh(2) * std::cosh(2) / 4, 1e-3);
  Numbers y{2};
  const StepReport damped = make_optimizer<double>("hso.cg", with(settings, {{"line_search", "0"}}))->step(f, y.data());
  EXPECT_EQ(damped.status, StepStatus::accepted);
  EXPECT_GT(damped.trials, 1);
}

/// Rosenbrock's function from the standard start, where the Hessian is indefinite on the way.
TEST(HsoCgSteps, TheTrustRegionHoldsEveryStepAndConverges) {
  const auto cpu = Context::create("cpu");
  Callback f(*cpu, 2, [](const double* x, double* g) {
    const double a = 1 - x[0], b = x[1] - x[0] * x[0];
    if (g != nullptr) g[0] = -2 * a - 400 * x[0] * b, g[1] = 200 * b;
    return a * a + 100 * b * b;
  });
  auto optimizer = make_optimizer<double>("hso.cg", {{"globalization", "trust_region"},
                                                     {"curvature", "hessian"},
                                                     {"preconditioner", "none"},
                                                     {"radius", "0.5"},
                                                     {"max_trials", "30"}});
  Numbers x{-1.2, 1};
  for (int i = 0; i < 40 && f.value(x.data()) > 1e-16; ++i) {
    const StepReport r = optimizer->step(f, x.data());
    ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
    EXPECT_LT(r.loss_after, r.loss_before);
    for (const auto& [key, value] : r.metrics)
      if (key == "radius") {
        EXPECT_LE(r.step_norm, std::get<double>(value) * (1 + 1e-12));
      }
  }
  expect_near(x, {1, 1}, 1e-7);
  // A strict saddle, entered along its stable direction, is left as soon as the gradient sees it.
  Quadratic saddle(*cpu, {1, 0, 0, -1}, {0, 0});
  Numbers y{1, 1e-3};
  for (int i = 0; i < 10; ++i)
    make_optimizer<double>("hso.cg", {{"globalization", "trust_region"}, {"curvature", "hessian"}})
        ->step(saddle, y.data());
  EXPECT_GT(std::abs(y[1]), 5);
}

std::int64_t iterations_of(const StepReport& report) {
  for (const auto& [key, value] : report.metrics)
    if (key == "cg_iterations") return std::get<std::int64_t>(value);
  ADD_FAILURE() << "no cg_iterations: " << report.message;
  return -1;
}

/// One solve to the end at one damping.
TEST_P(HsoCg, PreconditionersChangeTheWayAndNotTheAnswer) {
  for_types([&]<class T>() {
    const bool single = sizeof(T) == 4;
    std::vector<Numbers> moved;
    for (const char* preconditioner : {"none", "diagonal", "kfac"}) {
      Setting<T> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
      auto f = s.objective();
      const StepReport r = make_optimizer<T>("hso.cg", {{"preconditioner", preconditioner},
                                                        {"delta", "0.02"},
                                                        {"progress", "0"},
                                                        {"backtrack", "0"},
                                                        {"tolerance", single ? "1e-5" : "1e-12"}})
                               ->step(f, s.theta.data());
      ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
      moved.push_back(widen(s.theta.download()));
    }
    // |x error| <= |r| / delta
    for (std::size_t k : {1u, 2u}) EXPECT_LE(worst(moved[k], moved[0]), single ? 1e-2 : 1e-9);
  });
}

/// Softmax regression at theta = 0, where the Kronecker factors are the Gauss-Newton matrix.
TEST_P(HsoCg, AnExactPreconditionerSolvesAtOnce) {
  const auto iterations = [&](const char* preconditioner) {
    Setting<double> s(context(), "mlp:5-3", LossKind::cross_entropy, 40);
    context().ops<double>().fill(s.n(), 0, s.theta.data());
    auto f = s.objective();
    auto optimizer = make_optimizer<double>("hso.cg", {{"preconditioner", preconditioner}, {"progress", "0"}});
    return iterations_of(optimizer->step(f, s.theta.data()));
  };
  EXPECT_LE(iterations("kfac"), 2);
  EXPECT_GT(iterations("none"), 4);
}

TEST_P(HsoCg, StepsOnANetworkAllocateNothingAfterTheFirst) {
  for (const char* globalization : {"damping", "trust_region"}) {
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto f = s.objective();
    auto optimizer = make_optimizer<double>("hso.cg", {{"globalization", globalization}});
    optimizer->step(f, s.theta.data());
    const Index made = context().allocation_count();
    for (int i = 0; i < 4; ++i) optimizer->step(f, s.theta.data());
    EXPECT_EQ(context().allocation_count(), made) << globalization;
  }
}

/// On a mini-batch the rows that give the gradient judge the step.
TEST_P(HsoCg, StepsAreJudgedByTheRowsTheyAreMadeFrom) {
  Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
  auto f = s.objective();
  auto optimizer = make_optimizer<double>("hso.cg");
  for (Index batch = 0; batch < 6; ++batch) {
    std::vector<Index> rows;
    for (Index i = 0; i < 10; ++i) rows.push_back(10 * batch + i);
    f.select(rows);
    const double before = f.value(s.theta.data());
    const StepReport r = optimizer->step(f, s.theta.data());
    EXPECT_NEAR(r.loss_before, before, 1e-14);
    EXPECT_NEAR(r.loss_after, f.value(s.theta.data()), 1e-14);
    EXPECT_LE(r.loss_after, r.loss_before);
  }
}

/// Which of the first three inputs is the largest, for a network of ten sigmoid layers.
struct Vanishing {
  explicit Vanishing(Context& c) : setting(c, "mlp:5-8-8-8-8-8-8-8-8-8-3:sigmoid", LossKind::cross_entropy, 80) {
    Dataset d = setting.inputs;
    for (std::size_t i = 0; i < d.targets.size(); ++i) {
      const double* x = &d.inputs[5 * i];
      d.targets[i] = static_cast<double>(std::max_element(x, x + 3) - x);
    }
    data = std::make_unique<DeviceData<double>>(c, setting.network, d);
    objective = std::make_unique<NetworkObjective<double>>(c, setting.network, *data);
  }
  Setting<double> setting;
  std::unique_ptr<DeviceData<double>> data;
  std::unique_ptr<NetworkObjective<double>> objective;
  double accuracy() { return objective->evaluate(setting.theta.data()).accuracy; }
};

TEST_P(HsoCg, TrainsANetworkWhoseGradientsVanish) {
  Vanishing second(context());
  auto optimizer = make_optimizer<double>("hso.cg");
  Index products = 0;
  for (int i = 0; i < 60 && second.accuracy() < 0.95; ++i)
    products += optimizer->step(*second.objective, second.setting.theta.data()).products;
  EXPECT_GE(second.accuracy(), 0.95);
  EXPECT_LE(products, 3000);
  for (const char* rate : {"0.1", "1", "10"}) {
    Vanishing first(context());
    auto sgd = make_optimizer<double>("sgd", {{"rate", rate}});
    for (int i = 0; i < 300; ++i) sgd->step(*first.objective, first.setting.theta.data());
    EXPECT_LE(first.accuracy(), 0.6) << rate;
  }
}

TEST(HsoCgSteps, WhatMakesNoSenseIsRefused) {
  const auto message = [](const OptimizerSettings& settings) {
    return message_of<UsageError>([&] { make_optimizer<double>("hso.cg", settings); });
  };
  EXPECT_TRUE(contains(message({{"globalization", "trust"}}), "globalization = 'trust'", "trust_region"));
  EXPECT_TRUE(contains(message({{"preconditioner", "jacobi"}}), "preconditioner = 'jacobi'", "kfac"));
  EXPECT_TRUE(contains(message({{"preconditioner", "kfac"}, {"delta", "0"}}), "delta = 0", "preconditioner"));
  EXPECT_TRUE(contains(message({{"warm_start", "1"}}), "warm_start = 1", "[0, 1)"));
  EXPECT_TRUE(contains(message({{"radius", "-1"}}), "radius = -1"));
  EXPECT_TRUE(contains(message({{"increase", "1"}}), "increase = 1"));
  const auto cpu = Context::create("cpu");
  Quadratic f(*cpu, {2, 0.5, 0.5, 1}, {1, -1});
  Numbers x{3, 4};
  EXPECT_TRUE(contains(message_of<UsageError>([&] {
                         auto optimizer = make_optimizer<double>("hso.cg", {{"preconditioner", "kfac"}});
                         optimizer->step(f, x.data());
                       }),
                       "kfac"));
}

}  // namespace
}  // namespace hso::test
