// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/train/train.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <set>
#include <thread>

#include "hsogpu/core/error.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"
#include "train/batch_order.hpp"
#include "train/schedule.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;
using test::TempDir;
using test::tiny_options;

TEST(BatchOrder, EveryEpochIsAPermutationAndAFunctionOfTheStep) {
  BatchOrder order(10, 4, 7);
  EXPECT_EQ(order.steps_per_epoch(), 3);
  std::vector<std::vector<Index>> epochs(2);
  for (Index step = 0; step < 6; ++step) {
    const Span<const Index> rows = order.rows_of(step);
    EXPECT_EQ(rows.size(), step % 3 == 2 ? 2u : 4u);
    auto& epoch = epochs[static_cast<std::size_t>(step / 3)];
    epoch.insert(epoch.end(), rows.begin(), rows.end());
  }
  for (const auto& epoch : epochs) EXPECT_EQ(std::set<Index>(epoch.begin(), epoch.end()).size(), 10u);
  EXPECT_NE(epochs[0], epochs[1]);
  BatchOrder again(10, 4, 7), other(10, 10, 8);
  const Span<const Index> late = again.rows_of(4);
  EXPECT_TRUE(std::equal(late.begin(), late.end(), epochs[1].begin() + 4));
  const Span<const Index> all = other.rows_of(0);
  EXPECT_FALSE(std::equal(all.begin(), all.end(), epochs[0].begin()));
}

TEST(Schedule, DefaultsFollowTheMethod) {
  const TrainOptions options;
  const Schedule full(options, true, 1437), mini(options, false, 1437);
  EXPECT_TRUE(full.whole && full.batch == 1437 && full.steps == 20 && full.epochs == 0 && full.max_trials == 40);
  EXPECT_TRUE(!mini.whole && mini.batch == 128 && mini.steps == 0 && mini.epochs == 20);
  EXPECT_EQ(mini.steps_per_epoch, 12);
  EXPECT_EQ(mini.evaluate_every, 12);
}

TEST(Schedule, StopsForEachReason) {
  const Schedule schedule(TrainOptions{}, true, 100);
  Progress progress;
  EXPECT_EQ(schedule.stop_reason(progress), "");
  progress.accepted = 20;
  EXPECT_EQ(schedule.stop_reason(progress), "steps");
  progress = {};
  StepReport refused;
  refused.status = StepStatus::rejected;
  refused.trials = 12;
  progress.count(refused);
  EXPECT_EQ(schedule.stop_reason(progress), "");
  progress.count(refused);
  EXPECT_EQ(schedule.stop_reason(progress), "stalled");
  refused.trials = 16;
  progress.count(refused);
  EXPECT_EQ(schedule.stop_reason(progress), "trials");
  progress.count({});
  EXPECT_EQ(progress.rejected_in_a_row, 0);
}

TEST(Train, AdamOnDigitsLowersTheLoss) {
  TrainOptions options;
  options.optimizer = "adam";
  options.model = "mlp:64-8-10:tanh";
  options.device = "cpu";
  options.epochs = 3;
  const TrainResult result = train(options);
  ASSERT_EQ(result.history.size(), 4u);  // the start and three epochs
  EXPECT_EQ(result.stop_reason, "epochs");
  EXPECT_EQ(result.accepted_steps, 36);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_LT(result.history[i].train.loss, result.history[i - 1].train.loss);
  EXPECT_GT(result.last.test.accuracy, 2 * 0.1) << "twice what guessing reaches";
  EXPECT_EQ(result.theta.size(), 64u * 8 + 8 + 8 * 10 + 10);
}

TEST(Train, HsoDescendsAndReports) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.steps = 6;
  options.weight_decay = 1e-3;
  const TrainResult result = train(options);
  EXPECT_EQ(result.stop_reason, "steps") << result.last.report.message;
  EXPECT_EQ(result.accepted_steps, 6);
  for (std::size_t i = 1; i < result.history.size(); ++i) {
    EXPECT_LE(result.history[i].objective, result.history[i - 1].objective);
    // What the optimizer saw is what the evaluation sees: loss and weight decay over all rows.
    EXPECT_NEAR(result.history[i].objective, result.history[i].report.loss_after, 1e-12);
  }
  const double squares = std::inner_product(result.theta.begin(), result.theta.end(), result.theta.begin(), 0.0);
  EXPECT_NEAR(result.last.objective - result.last.train.loss, 0.5e-3 * squares, 1e-12);
}

TEST(Train, SameSeedSameBitsAnotherSeedOthers) {
  const TempDir dir;
  for (const char* precision : {"float32", "float64"}) {
    TrainOptions options = tiny_options(dir, "momentum");
    options.precision = precision;
    options.batch = 7;
    options.epochs = 2;
    const std::vector<double> first = train(options).theta;
    EXPECT_EQ(train(options).theta, first);
    options.seed = 1;
    EXPECT_NE(train(options).theta, first);
  }
}

TEST(Train, PiecesOnTheDeviceDoNotChangeTheResult) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.steps = 3;
  const TrainResult whole = train(options);
  options.device_batch = 10;
  const TrainResult pieces = train(options);
  ASSERT_EQ(whole.history.size(), pieces.history.size());
  EXPECT_NEAR(whole.last.train.loss, pieces.last.train.loss, 1e-9);
}

TEST(Train, AnAutoencoderHasItsInputsForTargets) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso.cg");
  options.model = "mlp:2-3-2:tanh";
  options.loss = LossKind::squared_error;
  options.reconstruct = true;
  options.steps = 8;
  options.run_directory = dir.file("run");
  const TrainResult result = train(options);
  EXPECT_LT(result.last.train.loss, 0.5 * result.history.front().train.loss);
  EXPECT_LT(result.last.train.accuracy, 0);
  // The loss by hand, over the scaled rows of the training part.
  Dataset data = load_data(options.data, options.test_fraction, options.seed).train;
  Standardizer::fit(data, options.scaling).apply(data);
  std::vector<double> h(3), z(2);
  double loss = 0;
  for (Index row = 0; row < data.size; ++row) {
    const double* x = data.inputs.data() + 2 * row;
    const double* w = result.theta.data();  // [3][2], [3], [2][3], [2]
    for (std::size_t j = 0; j < 3; ++j) h[j] = std::tanh(w[2 * j] * x[0] + w[2 * j + 1] * x[1] + w[6 + j]);
    for (std::size_t i = 0; i < 2; ++i) {
      z[i] = w[15 + i];
      for (std::size_t j = 0; j < 3; ++j) z[i] += w[9 + 3 * i + j] * h[j];
      loss += 0.5 * (z[i] - x[i]) * (z[i] - x[i]) / static_cast<double>(data.size);
    }
  }
  EXPECT_NEAR(result.last.train.loss, loss, 1e-12);
  EXPECT_TRUE(parse_train_options(to_toml(options), "text").reconstruct);
}

TEST(Train, WithoutATestPartTheTestLossIsNotANumber) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.test_fraction = 0;
  options.epochs = 1;
  const TrainResult result = train(options);
  EXPECT_TRUE(std::isnan(result.last.test.loss));
  EXPECT_LT(result.last.test.accuracy, 0);
}

TEST(Train, ANumericalFailureStopsAndSaysWhy) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  // Softmax leaves the Hessian singular at every theta.
  options.optimizer_settings = {{"sign", "raw"}, {"delta", "0"}, {"eps_scale", "0"}, {"adaptive", "false"}};
  const TrainResult result = train(options);
  EXPECT_TRUE(result.numerical_failure);
  EXPECT_EQ(result.stop_reason, "singular");
  EXPECT_FALSE(result.last.report.message.empty());
  EXPECT_EQ(result.accepted_steps, 0);

  options = tiny_options(dir, "sgd");
  options.optimizer_settings = {{"rate", "1e308"}};
  options.weight_decay = 1e10;
  const TrainResult diverged = train(options);
  EXPECT_TRUE(diverged.numerical_failure);
  EXPECT_EQ(diverged.stop_reason, "not_finite");
}

TEST(Train, HooksSeeEveryStepAndRecord) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "adam");
  options.batch = 48;
  options.steps = 6;
  options.evaluate_every = 4;
  std::vector<Index> steps, records;
  TrainHooks hooks;
  hooks.on_step = [&](Index step, const StepReport&) { steps.push_back(step); };
  hooks.on_record = [&](const TrainRecord& r) { records.push_back(r.step); };
  train(options, hooks);
  EXPECT_EQ(steps, (std::vector<Index>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(records, (std::vector<Index>{0, 4, 6}));
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

/// A hook that sees every step makes the training wait for each; without one they are queued.
void expect_the_same_training(const TrainOptions& options, const TrainStart& start = {}) {
  TrainHooks watched;
  watched.on_step = [](Index, const StepReport&) {};
  const TrainResult one = train(options, watched, start), many = train(options, {}, start);
  EXPECT_EQ(many.theta, one.theta);
  EXPECT_EQ(many.stop_reason, one.stop_reason);
  EXPECT_EQ(many.accepted_steps, one.accepted_steps);
  EXPECT_EQ(many.trials, one.trials);
  EXPECT_EQ(many.numerical_failure, one.numerical_failure);
  ASSERT_EQ(many.history.size(), one.history.size());
  for (std::size_t i = 0; i < one.history.size(); ++i) {
    const TrainRecord &a = many.history[i], &b = one.history[i];
    EXPECT_EQ(a.step, b.step);
    EXPECT_EQ(a.gradient_equivalents, b.gradient_equivalents);
    EXPECT_TRUE(same(a.train.loss, b.train.loss)) << a.train.loss << " " << b.train.loss;
    EXPECT_TRUE(same(a.objective, b.objective)) << a.objective << " " << b.objective;
    EXPECT_EQ(a.report.status, b.report.status);
    EXPECT_EQ(a.report.message, b.report.message);
    EXPECT_EQ(a.report.step_norm, b.report.step_norm);
    if (a.report.status != StepStatus::accepted) continue;
    EXPECT_EQ(a.report.loss_before, b.report.loss_before);
    EXPECT_EQ(a.report.gradient_norm, b.report.gradient_norm);
    EXPECT_EQ(a.report.metrics, b.report.metrics);
  }
}

TEST(Train, QueuedStepsTrainAsStepsThatAreWaitedFor) {
  const TempDir dir;
  for (const char* optimizer : {"sgd", "adam", "hvp", "kfac", "muon"}) {
    SCOPED_TRACE(optimizer);
    TrainOptions options = tiny_options(dir, optimizer);  // 48 rows
    options.batch = 7;
    options.epochs = 20;  // steps enough for glances between evaluations
    options.evaluate_every = 50;
    options.weight_decay = 1e-3;
    options.wrappers = {"warmup:5", "cosine:100"};
    expect_the_same_training(options);
    options.epochs = 0;
    options.max_gradients = 2.6;
    expect_the_same_training(options);
    options.max_gradients = 0;
    options.batch = 48;
    options.steps = 9;
    options.l1 = 1e-3;
    TrainStart start;
    start.mask = Mask::all(22);
    start.mask.kept[3] = 0;
    expect_the_same_training(options, start);
  }
}

TEST(Train, AQueueEndsAtTheStepThatDiverges) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.batch = 7;
  options.epochs = 30;
  options.evaluate_every = 100;
  options.loss = LossKind::squared_error;
  options.optimizer_settings = {{"rate", "50"}};
  expect_the_same_training(options);
  const TrainResult diverged = train(options);
  EXPECT_EQ(diverged.stop_reason, "not_finite");
  EXPECT_LT(diverged.last.step, 100) << "not a step that evaluates anyway";
  options.optimizer_settings = {{"rate", "1e308"}};
  options.weight_decay = 1e10;
  expect_the_same_training(options);
}

TEST(Train, AnInterruptedQueueIsLookedAt) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "adam");
  options.batch = 12;
  options.epochs = 50;
  options.evaluate_every = 100;
  TrainHooks hooks;
  int asked = 0;
  hooks.interrupted = [&] { return asked++ == 10; };
  const TrainResult stopped = train(options, hooks);
  EXPECT_EQ(stopped.stop_reason, "interrupted");
  EXPECT_EQ(stopped.last.step, 10);
  options.epochs = 0;
  options.steps = 10;
  EXPECT_EQ(stopped.theta, train(options).theta);
}

TEST(Train, ProgressIsToldWithTheNumbersOfAStep) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "adam");
  options.batch = 48;
  options.steps = 3;
  TrainHooks hooks;
  Index told = 0;
  hooks.interrupted = [] {
    std::this_thread::sleep_for(std::chrono::milliseconds(101));
    return false;
  };
  hooks.on_progress = [&](Index step, const StepReport& r) {
    told = step;
    EXPECT_GT(r.gradient_norm, 0);
  };
  train(options, hooks);
  EXPECT_EQ(told, 3);
}

TEST(Train, BadOptionsAreNamed) {
  const TempDir dir;
  const auto error = [&](auto change) {
    TrainOptions options = tiny_options(dir, "sgd");
    change(options);
    return message_of<UsageError>([&] { train(options); });
  };
  EXPECT_TRUE(contains(error([](TrainOptions& o) { o.precision = "float16"; }), "float16", "float32 or float64"));
  EXPECT_TRUE(contains(error([](TrainOptions& o) { o.optimizer = "adm"; }), "did you mean 'adam'"));
  EXPECT_TRUE(contains(error([](TrainOptions& o) { o.optimizer_settings = {{"rat", "1"}}; }), "did you mean 'rate'"));
  EXPECT_TRUE(contains(error([](TrainOptions& o) { o.steps = -1; }), "steps", "-1"));
  EXPECT_TRUE(contains(error([](TrainOptions& o) { o.weight_decay = -1; }), "weight_decay", "-1"));
  EXPECT_TRUE(contains(error([](TrainOptions& o) { o.test_fraction = 1; }), "test_fraction", "below 1"));
  EXPECT_TRUE(contains(error([](TrainOptions& o) { o.device = "tpu"; }), "tpu", "cuda"));
  EXPECT_TRUE(contains(error([](TrainOptions& o) { o.target_accuracy = 95; }), "target_accuracy", "95", "0 to 1"));
  EXPECT_TRUE(contains(error([](TrainOptions& o) { o.reconstruct = true; }), "reconstruct", "cross_entropy"));
}

TEST(Train, ADenseMatrixThatDoesNotFitIsRefusedBeforeAnythingIsWritten) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.model = "mlp:2-400000-2";
  options.run_directory = dir.file("run");
  const std::string message = message_of<MemoryError>([&] { train(options); });
  EXPECT_TRUE(contains(message, "n = 2000002 needs", "bytes", "are free on cpu", "would fit"));
  EXPECT_FALSE(std::filesystem::exists(dir.file("run")));
}

}  // namespace
}  // namespace hso
