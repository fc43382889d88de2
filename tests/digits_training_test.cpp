// SPDX-License-Identifier: Apache-2.0
//
// The promise of the first page, at one seed each (bench/training.py runs five): exact second-order steps on the real
// digits, and the exact rank of their Hessian.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "hsogpu/train/train.hpp"
#include "support/messages.hpp"

namespace hso {
namespace {

constexpr const char* kMlp = "mlp:64-32-10:tanh";

TrainOptions digits_run(const std::string& optimizer, const OptimizerSettings& settings, Index steps) {
  TrainOptions o;
  o.model = kMlp;
  o.optimizer = optimizer;
  o.optimizer_settings = settings;
  o.device = "cpu";
  o.steps = steps;
  o.batch = 1437;
  o.evaluate_every = steps;
  return o;
}

double best_of_six_adam_rates() {
  double best = 1e300;
  for (const char* rate : {"0.001", "0.003", "0.01", "0.03", "0.1", "0.3"})
    best = std::min(best, train(digits_run("adam", {{"rate", rate}}, 500)).last.train.loss);
  return best;
}

TEST(DigitsTraining, TwentyExactStepsReachATenthOfAdamsBestLoss) {
  const TrainResult hso = train(digits_run("hso", {{"sign", "abs"}}, 20));
  EXPECT_LE(hso.accepted_steps, 20);
  EXPECT_LE(hso.trials, 40);
  EXPECT_LE(hso.last.train.loss, best_of_six_adam_rates() / 10);
}

/// What each form reaches at its defaults, with the work of 300 gradients of all rows. bench/results has what it was.
TEST(DigitsTraining, DefaultsReachTheirLossInThreeHundredGradients) {
  for (const auto& [optimizer, loss] :
       {std::pair{"hso.cg", 1e-12}, std::pair{"hso.kfac", 1e-8}, std::pair{"hso.lowrank", 1e-5}}) {
    TrainOptions o = digits_run(optimizer, {}, 10000);
    o.max_gradients = 300;
    EXPECT_LE(train(o).last.train.loss, loss) << optimizer;
  }
}

TEST(DigitsTraining, WeightDecayReachesTheTestAccuracy) {
  TrainOptions o = digits_run("hso", {{"sign", "abs"}}, 12);
  o.weight_decay = 1e-4;
  EXPECT_GE(train(o).last.test.accuracy, 0.96);
}

TEST(DigitsTraining, ASmallCnnTrains) {
  TrainOptions o = digits_run("hso", {{"sign", "abs"}, {"curvature", "ggn"}}, 10);
  o.model = "digits_cnn";
  o.weight_decay = 1e-4;
  EXPECT_GE(train(o).last.test.accuracy, 0.96);
}

/// One double-precision step's report at the Glorot start of the seed.
StepReport first_step(std::uint64_t seed, const OptimizerSettings& settings) {
  const auto context = Context::create("cpu");
  DataSplit data = load_data("digits", 0.2, seed);
  const Standardizer scaling = Standardizer::fit(data.train, Scaling::unit_range);
  scaling.apply(data.train);
  const auto network = build_network<double>(parse_model(kMlp), LossKind::cross_entropy);
  const DeviceData<double> rows(*context, network, data.train);
  NetworkObjective<double> objective(*context, network, rows);
  const auto start = initial_parameters(network.parameters, Initialization::glorot, seed);
  Buffer<double> theta(*context, Span<const double>(start));
  StepReport report = make_optimizer<double>("hso", settings)->step(objective, theta.data());
  if (report.status != StepStatus::accepted) {
    EXPECT_EQ(theta.download(), start) << "a refused step moved theta";
  }
  return report;
}

/// 33 directions that softmax does not see (the last hidden width + 1), and 32 hidden units for every pixel that is
/// constant (zero) over the training part: three in all 1,797 digits, a fourth in some splits.
Index expected_nullity(std::uint64_t seed) {
  const Dataset train = load_data("digits", 0.2, seed).train;
  Index constant = 0;
  for (Index pixel = 0; pixel < 64; ++pixel) {
    double largest = 0;
    for (Index i = 0; i < train.size; ++i)
      largest = std::max(largest, train.inputs[static_cast<std::size_t>(i * 64 + pixel)]);
    constant += largest == 0 ? 1 : 0;
  }
  return 33 + 32 * constant;
}

TEST(DigitsRank, RawRefusesTheSingularHessianAndNamesTheNullity) {
  const StepReport report = first_step(0, {{"sign", "raw"}, {"delta", "0"}});
  EXPECT_EQ(report.status, StepStatus::singular);
  EXPECT_EQ(expected_nullity(0), 129);
  EXPECT_TRUE(test::contains(report.message, "129 of 2410 eigenvalues")) << report.message;
}

TEST(DigitsRank, TheEpsilonModificationLiftsThePseudoInverseToFullRank) {
  const StepReport report = first_step(1, {{"sign", "truncate"}, {"delta", "0"}, {"eps", "0.01"}});
  const auto metric = [&](const std::string& name) {
    for (const auto& [key, value] : report.metrics)
      if (key == name) return std::get<std::int64_t>(value);
    ADD_FAILURE() << "no metric " << name;
    return std::int64_t{-1};
  };
  const Index nullity = expected_nullity(1);
  EXPECT_EQ(metric("n_zero"), nullity);
  EXPECT_EQ(metric("rank"), 2410 - nullity);
  EXPECT_EQ(metric("rank_modified"), 2410);
}

/// Of the Hessian of a trained network, in double: the ten largest by Lanczos and by LAPACK.
TEST(DigitsRank, LanczosFindsTheTopOfTheDenseSpectrum) {
  TrainOptions o = digits_run("adam", {{"rate", "0.01"}}, 200);
  o.precision = "float64";
  const std::vector<double> trained = train(o).theta;
  const auto context = Context::create("cpu");
  DataSplit data = load_data("digits", 0.2, 0);
  const Standardizer scaling = Standardizer::fit(data.train, Scaling::unit_range);
  scaling.apply(data.train);
  const auto network = build_network<double>(parse_model(kMlp), LossKind::cross_entropy);
  const DeviceData<double> rows(*context, network, data.train);
  NetworkObjective<double> objective(*context, network, rows);
  const Buffer<double> theta(*context, Span<const double>(trained));
  const auto h = objective.curvature(theta.data(), Curvature::hessian);
  const Index n = h->dimension();
  const auto top = lanczos(*h, {.count = 10, .tolerance = 1e-7});
  ASSERT_EQ(top.stop, "converged");
  Buffer<double> dense(*context, n * n);
  h->to_dense(dense.data());
  EighOptions range;
  range.vectors = false;
  range.first = n - 10;
  const EighResult exact = eigh(*context, dense.view().reshaped({n, n}), range);
  ASSERT_TRUE(exact.ok());
  ASSERT_EQ(exact.values.size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(top.values[i], exact.values[i], 1e-6 * exact.values[9]);
    EXPECT_LE(std::abs(top.values[i] - exact.values[i]), top.residuals[i] + 1e-12) << "the residual bounds the error";
  }
}

}  // namespace
}  // namespace hso
