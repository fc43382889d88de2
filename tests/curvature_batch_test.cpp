// SPDX-License-Identifier: Apache-2.0
//
// Curvature from other rows than the gradient's.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/adapters.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "hsogpu/train/train.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"

namespace hso::test {
namespace {

class CurvatureBatch : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, CurvatureBatch, testing::ValuesIn(contexts()), device_word);

TEST_P(CurvatureBatch, ValueAndGradientAreOneObjectivesAndProductsTheOthers) {
  Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
  auto loss = s.objective(), few = s.objective(), alone = s.objective();
  const std::vector<Index> rows{3, 14, 15, 9, 26};
  few.select(rows);
  SubsampledCurvature<double> f(loss, few);
  Buffer<double> g(context(), s.n()), whole(context(), s.n()), h(context(), s.n() * s.n());
  auto [value, curvature] = f.linearize(s.theta.data(), g.data(), Curvature::hessian);
  EXPECT_EQ(value, alone.gradient(s.theta.data(), whole.data()));
  EXPECT_EQ(g.download(), whole.download());
  curvature->to_dense(h.data());
  alone.select(rows);
  EXPECT_EQ(h.download(), s.dense(alone, Curvature::hessian));
  // A trial point in between moves neither.
  EXPECT_EQ(f.value(s.theta.data()), value);
  curvature->to_dense(h.data());
  EXPECT_EQ(h.download(), s.dense(alone, Curvature::hessian));

  Setting<double> other(context(), "mlp:5-7-3:tanh", LossKind::cross_entropy, 60);
  auto larger = other.objective();
  EXPECT_TRUE(contains(message_of<InputError>([&] { SubsampledCurvature<double>(loss, larger); }), "57", "66"));
}

/// Every form takes it, and every step is judged on the gradient's rows.
TEST_P(CurvatureBatch, FormsOfHsoLowerTheLossOfTheGradientsRows) {
  for (const char* name : {"hso", "hso.lowrank", "hso.cg", "hso.kfac", "hso.ekfac"}) {
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto loss = s.objective(), few = s.objective();
    SubsampledCurvature<double> f(loss, few);
    auto optimizer = make_optimizer<double>(name);
    const double start = loss.value(s.theta.data());
    for (Index step = 0; step < 5; ++step) {
      std::vector<Index> rows;
      for (Index i = 0; i < 20; ++i) rows.push_back((20 * step + i) % 60);
      few.select(rows);
      const double before = loss.value(s.theta.data());
      const StepReport r = optimizer->step(f, s.theta.data());
      EXPECT_NEAR(r.loss_before, before, 1e-14) << name;
      EXPECT_NEAR(r.loss_after, loss.value(s.theta.data()), 1e-14) << name;
      EXPECT_LE(r.loss_after, before) << name;
    }
    EXPECT_LT(loss.value(s.theta.data()), start) << name;
  }
}

TEST(CurvatureBatchTraining, DrawsItsOwnRowsAndAllOfThemAreTheWholeMatrix) {
  TempDir dir;
  TrainOptions options = tiny_options(dir, "hso.cg");
  options.steps = 1;
  const TrainResult plain = train(options);
  options.curvature_batch = 1000;  // all there are
  const TrainResult all = train(options);
  options.curvature_batch = 8;
  const TrainResult few = train(options);
  ASSERT_EQ(plain.theta.size(), all.theta.size());
  double difference = 0;
  for (std::size_t i = 0; i < plain.theta.size(); ++i) {
    // The same sums in another order, through a solve that ends at a residual of 1e-8 at delta 0.01.
    EXPECT_NEAR(plain.theta[i], all.theta[i], 1e-6);
    difference = std::max(difference, std::abs(plain.theta[i] - few.theta[i]));
  }
  EXPECT_GT(difference, 1e-4);
  EXPECT_EQ(parse_train_options(to_toml(options), "test").curvature_batch, 8);

  options.batch = 16;
  options.steps = 12;
  const TrainResult stochastic = train(options);
  EXPECT_LT(stochastic.last.train.loss, stochastic.history.front().train.loss);
}

}  // namespace
}  // namespace hso::test
