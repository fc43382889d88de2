// SPDX-License-Identifier: Apache-2.0
//
// At a target, or when a budget is spent.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/train/train.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

using test::contains;
using test::message_of;
using test::TempDir;
using test::tiny_options;

TEST(TrainEnds, StopsAtTheTargetLoss) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.target_loss = 0.5;
  const TrainResult result = train(options);
  EXPECT_EQ(result.stop_reason, "target_loss");
  EXPECT_LE(result.last.train.loss, 0.5);
  EXPECT_GT((result.history.end() - 2)->train.loss, 0.5);
}

/// A target that is reached on the very step that spends the budget, or is the last, was reached.
TEST(TrainEnds, ReportsTheTargetBeforeTheBudget) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.target_loss = 0.5;
  const TrainResult free = train(options);
  ASSERT_EQ(free.stop_reason, "target_loss");
  options.steps = free.last.step;
  EXPECT_EQ(train(options).stop_reason, "target_loss");
  options.steps = 0;
  options.epochs = 1000;
  options.max_gradients = free.last.gradient_equivalents;
  const TrainResult spent = train(options);
  EXPECT_EQ(spent.stop_reason, "target_loss");
  EXPECT_EQ(spent.last.step, free.last.step);
  options.target_loss = 1e-9;
  EXPECT_EQ(train(options).stop_reason, "gradients");
}

TEST(TrainEnds, StopsAtTheTargetAccuracy) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.target_accuracy = 0.8;
  const TrainResult result = train(options);
  EXPECT_EQ(result.stop_reason, "target_accuracy");
  EXPECT_GE(result.last.train.accuracy, 0.8);
  EXPECT_LT((result.history.end() - 2)->train.accuracy, 0.8);
}

TEST(TrainEnds, PatienceKeepsTheParametersOfTheLowestTestLoss) {
  const TempDir dir;
  TrainOptions options;
  options.optimizer = "hso.kfac";
  options.device = "cpu";
  options.steps = 100;
  options.patience = 4;
  options.run_directory = dir.file("run");
  const TrainResult r = train(options);
  EXPECT_EQ(r.stop_reason, "patience");
  std::size_t best = 0;
  for (std::size_t i = 0; i < r.history.size(); ++i)
    if (r.history[i].test.loss < r.history[best].test.loss) best = i;
  EXPECT_EQ(r.history.size(), best + 1 + 4) << "four records after the lowest";
  EXPECT_EQ(r.last.step, r.history[best].step);
  const SavedRun saved = load_run(options.run_directory);
  EXPECT_EQ(saved.theta, r.theta);
  // The same training that ends at that record is at the same point.
  ASSERT_EQ(r.history[best].step, static_cast<Index>(best)) << "a record a step, none of them refused";
  options.patience = 0;
  options.run_directory.clear();
  options.steps = static_cast<Index>(best);
  EXPECT_EQ(train(options).theta, r.theta);
}

TEST(TrainEnds, PatienceNeedsATestPart) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.test_fraction = 0;
  options.patience = 2;
  EXPECT_TRUE(contains(message_of<UsageError>([&] { train(options); }), "patience", "test part"));
}

TEST(TrainEnds, StopsBeforeItsBudgetIsPassed) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");  // 48 rows
  options.batch = 12;
  options.epochs = 1000;
  options.max_gradients = 2.25;
  const TrainResult gradients = train(options);
  EXPECT_EQ(gradients.stop_reason, "gradients");
  EXPECT_EQ(gradients.last.step, 9);
  EXPECT_NEAR(gradients.last.gradient_equivalents, 2.25, 1e-12);
  options.max_gradients = 0;
  options.max_seconds = 1e-6;  // less than the first step takes
  const TrainResult seconds = train(options);
  EXPECT_EQ(seconds.stop_reason, "seconds");
  EXPECT_EQ(seconds.last.step, 1);
  options.max_seconds = 0;
  options.max_processor_seconds = 1e-9;
  const TrainResult processor = train(options);
  EXPECT_EQ(processor.stop_reason, "seconds");
  EXPECT_EQ(processor.last.step, 1);
  EXPECT_GT(processor.last.processor_seconds, 0);
}

}  // namespace
}  // namespace hso
