// SPDX-License-Identifier: Apache-2.0
//
// Batchnorm beyond its rules (oracle_test.cpp, fixture_test.cpp): which rows count, both modes, batches that cannot be
// cut, and the running statistics from steps to files.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "support/compare.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/runner.hpp"
#include "support/shrink_models.hpp"

namespace hso::test {
namespace {

class BatchNorm : public OnDevice {};

/// Of `rows` rows of a case: on a tape of as many, and on a larger one whose other rows hold anything.
TEST_P(BatchNorm, RowsThatOnlyFillTheBatchDoNotCount) {
  for (const char* name : {"batchnorm2d", "batchnorm1d", "batchnorm1d_signals"})
    for_types([&]<class T>() {
      SCOPED_TRACE(name);
      Case small = case_named(name), large = small;
      large.batch = small.batch + 3;
      Runner<T> exact(context(), small), padded(context(), large);
      padded.bind(0, small.batch, 0);
      padded.scribble_on_padding(small.batch);
      const double tolerance = rounding_tolerance<T>();
      EXPECT_TRUE(close(padded.linearize(), exact.linearize(), tolerance)) << "loss";
      EXPECT_TRUE(close(padded.gradient(), exact.gradient(), tolerance)) << "gradient";
      const Numbers v = random_numbers(3 * static_cast<std::size_t>(exact.n()), 7);
      for (Curvature kind : {Curvature::hessian, Curvature::ggn, Curvature::fisher_empirical})
        EXPECT_TRUE(close(padded.product(kind, v), exact.product(kind, v), tolerance)) << name_of(kind);
      EXPECT_TRUE(close(padded.next_statistics(), exact.next_statistics(), tolerance)) << "running statistics";
    });
}

/// With momentum 1 the running statistics are the batch's own; its variances have D - 1 for D numbers.
TEST_P(BatchNorm, EvaluationWithTheStatisticsOfTheBatchGivesTheOutputsOfTraining) {
  Net net;
  const int h = net.layer(net.dense(net.input({4, 3}), 3, 3), {4, 3}, "batchnorm1d momentum = 1");
  net.cross_entropy(net.reshape(h, {12}));
  Runner<double> run(context(), Case{"", net, 5, 1, true, true});
  run.linearize();
  const Numbers trained = run.output();
  Numbers statistics = run.next_statistics();
  ASSERT_EQ(statistics.size(), 8u);
  constexpr double kNumbers = 15;  // of a channel: 5 rows of 3 positions
  for (std::size_t c = 4; c < 8; ++c) statistics[c] *= (kNumbers - 1) / kNumbers;
  context().to_device(statistics.data(), run.tape.statistics().data, 8 * static_cast<Index>(sizeof(double)));
  run.tape.set_training(false);
  run.tape.forward(run.theta.data());
  EXPECT_TRUE(close(run.output(), trained, rounding_tolerance<double>()));
  EXPECT_NE(run.next_statistics(), statistics);  // left alone
}

/// Products stay those of the point, whatever mode the next forward pass will have.
TEST_P(BatchNorm, TheModeIsThatOfThePoint) {
  Runner<double> run(context(), case_named("batchnorm2d"));
  const Numbers v = random_numbers(static_cast<std::size_t>(run.n()), 3);
  run.linearize();
  const Numbers before = run.product(Curvature::hessian, v);
  run.tape.set_training(false);
  EXPECT_EQ(run.product(Curvature::hessian, v), before);
  run.linearize();
  EXPECT_FALSE(close(run.product(Curvature::hessian, v), before, 1e-3));
}

ModelSpec small_model() {
  return model_of("[2, 3, 3]", {"conv2d out = 3, kernel = 2, bias = false", "batchnorm2d", "tanh", "flatten",
                                "linear out = 4, bias = false", "batchnorm1d name = \"last\"", "linear out = 3"});
}

TEST_P(BatchNorm, ABatchIsNotCutInTraining) {
  Setting<double> s(context(), small_model(), LossKind::cross_entropy, 10);
  auto whole = s.objective(), cut = s.objective({.batch = 4});
  const auto value = [&](NetworkObjective<double>& f) { return f.value(s.theta.data()); };
  EXPECT_TRUE(close(value(cut), value(whole), rounding_tolerance<double>()));  // running statistics: rows by themselves
  cut.set_training(true);
  whole.set_training(true);
  const double together = value(whole);
  EXPECT_TRUE(starts_with(message_of<UsageError>([&] { value(cut); }), "batchnorm", "all 10 rows of a batch",
                          "4 at a time", "--batch"));
  EXPECT_TRUE(contains(
      message_of<UsageError>([&] { cut.curvature(s.theta.data(), Curvature::ggn)->to_dense(nullptr); }), "--batch"));
  const std::vector<Index> rows{7, 2, 5};
  cut.select(rows);  // a part of one micro-batch: its last row is filled up
  whole.select(rows);
  EXPECT_TRUE(close(value(cut), value(whole), rounding_tolerance<double>()));
  EXPECT_NE(value(whole), together);
  cut.select(std::vector<Index>{4});
  EXPECT_TRUE(starts_with(message_of<UsageError>([&] { value(cut); }), "batchnorm1d last", "one row", "at least 2"));
}

TEST_P(BatchNorm, StatisticsMoveWithStepsAlone) {
  Setting<double> s(context(), small_model(), LossKind::cross_entropy, 10);
  auto f = s.objective();
  const std::vector<double> start = f.statistics();
  EXPECT_EQ(start, (std::vector<double>{0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1}));
  f.set_training(true);
  Buffer<double> g(context(), s.n()), hv(context(), s.n());
  f.gradient(s.theta.data(), g.data());
  f.curvature(s.theta.data(), Curvature::hessian)->apply(g.view(), hv.view());
  f.value(g.data());  // a trial point
  EXPECT_EQ(f.statistics(), start);
  const double before = f.evaluate(s.theta.data()).loss;
  f.take_statistics();
  const std::vector<double> after = f.statistics();
  EXPECT_NE(after, start);
  EXPECT_NE(f.evaluate(s.theta.data()).loss, before);
  f.gradient(s.theta.data(), g.data());
  f.take_statistics();  // of the same batch: the distance to its statistics falls to 0.9 of what it was
  for (std::size_t i = 0; i < start.size(); ++i)
    EXPECT_NEAR(f.statistics()[i] - after[i], 0.9 * (after[i] - start[i]), 1e-14);
}

/// The matrix of finite differences of the gradient, which knows nothing of the rules.
TEST_P(BatchNorm, DenseHessianAndGaussNewtonMatrixOfABatch) {
  Setting<double> s(context(), small_model(), LossKind::squared_error, 6);
  auto f = s.objective();
  f.set_training(true);
  const Numbers h = s.dense(f, Curvature::hessian);
  EXPECT_LT(worst(s.dense(f, Curvature::finite_difference), h), 1e-6);
  // Of half the squared error G is J'J / N, and H - G the part that vanishes with the residuals.
  EXPECT_GT(worst(s.dense(f, Curvature::ggn), h), 1e-3);
  const double kfac = s.dense(f, Curvature::kfac)[0];
  EXPECT_TRUE(std::isfinite(kfac) && kfac > 0);
  EXPECT_TRUE(starts_with(message_of<UsageError>([&] { f.curvature(s.theta.data(), Curvature::diagonal); }),
                          "diagonal: ", "batchnorm", "factors=hessian"));
  f.set_training(false);
  const Numbers g = s.dense(f, Curvature::ggn);
  Buffer<double> d(context(), s.n()), ones(context(), std::vector<double>(static_cast<std::size_t>(s.n()), 1.0));
  f.curvature(s.theta.data(), Curvature::diagonal)->apply(ones.view(), d.view());
  const Numbers exact = widen(d.download());
  for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(exact[i], g[i * exact.size() + i], 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Devices, BatchNorm, testing::ValuesIn(contexts()), device_word);

}  // namespace
}  // namespace hso::test
