// SPDX-License-Identifier: Apache-2.0
//
// Trainings of networks with batchnorm: running statistics in results, checkpoints, saved runs and resumed trainings.
#include <gtest/gtest.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/train/train.hpp"
#include "support/messages.hpp"
#include "support/training_runs.hpp"
#include "train/saved_run.hpp"

namespace hso::test {
namespace {

class BatchNormTraining : public testing::Test {
 protected:
  TrainOptions options(const std::string& optimizer) const {
    TrainOptions o = tiny_options(dir_, optimizer);
    o.model = dir_.write("net.toml",
                         "input = [2]\n[[layer]]\ntype = \"linear\"\nout = 6\n[[layer]]\ntype = \"batchnorm1d\"\n"
                         "[[layer]]\ntype = \"tanh\"\n[[layer]]\ntype = \"linear\"\nout = 2\n");
    o.batch = 16;
    o.epochs = 3;
    return o;
  }
  TrainResult train_in(TrainOptions o, const std::string& run) {
    o.run_directory = dir_.file(run);
    return train(o);
  }

  const WithoutFlushes quick_;
  TempDir dir_;
};

TEST_F(BatchNormTraining, ARunIsReadBackWithItsStatistics) {
  for (const char* optimizer : {"adam", "hso.cg", "hso.kfac"}) {
    SCOPED_TRACE(optimizer);
    const TrainResult r = train_in(options(optimizer), optimizer);
    ASSERT_EQ(r.statistics.size(), 12u);
    for (double x : r.statistics) EXPECT_TRUE(std::isfinite(x) && x != 0 && x != 1);
    const SavedRun saved = load_run(dir_.file(optimizer));
    EXPECT_EQ(saved.theta, r.theta);
    EXPECT_EQ(saved.model.statistics, r.statistics);
    const auto tensors = read_safetensors(dir_.file(optimizer) + "/model.safetensors").tensors;
    EXPECT_EQ(tensors.at("1.running_mean").shape, Shape{6});
    EXPECT_TRUE(tensors.contains("1.running_var"));
  }
}

TEST_F(BatchNormTraining, AStoppedTrainingGoesOnToTheBit) {
  for (const char* precision : {"float32", "float64"}) {
    TrainOptions o = options("hso.cg");
    o.precision = precision;
    const std::string whole = dir_.file(std::string("whole") + precision),
                      cut = dir_.file(std::string("cut") + precision);
    const TrainResult r = train(in_folder(o, whole));
    EXPECT_EQ(train_until(in_folder(o, cut), 4).stop_reason, "interrupted");
    const TrainResult resumed_result = train(resumed(in_folder(o, cut)));
    EXPECT_EQ(resumed_result.theta, r.theta);
    EXPECT_EQ(resumed_result.statistics, r.statistics);
    expect_same_run(whole, cut);
  }
}

TEST_F(BatchNormTraining, PatienceKeepsTheStatisticsOfTheBestPoint) {
  TrainOptions o = options("adam");
  o.optimizer_settings = {{"rate", "0.05"}};  // the test loss falls, then jumps about
  o.epochs = 200;
  o.patience = 12;
  o.evaluate_every = 3;
  const TrainResult r = train_in(o, "patience");
  ASSERT_EQ(r.stop_reason, "patience");
  TrainOptions until_best = o;
  until_best.patience = 0;
  until_best.steps = r.last.step;
  ASSERT_GT(r.last.step, 0);
  EXPECT_EQ(train(until_best).statistics, r.statistics);
}

/// The point and its statistics are where the next training begins: its first record is the last one of the other.
TEST_F(BatchNormTraining, AnotherTrainingStartsFromThem) {
  const TrainResult first = train_in(options("adam"), "first");
  TrainOptions o = options("adam");
  o.start = dir_.file("first");
  const TrainResult second = train(o);
  EXPECT_EQ(second.history.front().test.loss, first.last.test.loss);
}

TEST_F(BatchNormTraining, BatchesThatCannotBeAreRefusedBeforeTheFirstStep) {
  TrainOptions o = options("adam");  // 48 rows
  o.device_batch = 8;
  EXPECT_TRUE(
      starts_with(message_of<UsageError>([&] { train_in(o, "cut"); }), "batchnorm1d 1: ", "--batch", "--device-batch"));
  o.device_batch = 0;
  o.batch = 47;
  EXPECT_TRUE(
      starts_with(message_of<UsageError>([&] { train_in(o, "one"); }), "batchnorm1d 1: ", "one row", "--batch"));
  EXPECT_FALSE(std::filesystem::exists(dir_.file("cut")) || std::filesystem::exists(dir_.file("one")));
}

}  // namespace
}  // namespace hso::test
