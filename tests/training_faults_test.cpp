// SPDX-License-Identifier: Apache-2.0
//
// Steps that fail, and steps that are left in their middle: what a training saves is as it was before them.
#include <gtest/gtest.h>

#include <filesystem>

#include "hsogpu/core/interrupt.hpp"
#include "io/raw_tensors.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/training_runs.hpp"
#include "train/checkpoint_files.hpp"

namespace hso::test {
namespace {

namespace fs = std::filesystem;

class TrainingFaults : public testing::Test {
 protected:
  /// The optimizer's part of a checkpoint.
  static RawTensors optimizer_at(const std::string& run, Index step) {
    RawTensors out;
    for (const auto& [name, tensor] : read_raw_tensors(checkpoint_folder(run, step) + "/state.safetensors").tensors)
      if (name.starts_with("optimizer.")) out[name] = tensor;
    return out;
  }
  const WithoutFlushes quick_;
  TempDir dir_;
};

/// The first step leads to where the loss overflows. Five steps fail there, and nothing moves.
TEST_F(TrainingFaults, FiveFailedStepsEndATrainingAndChangeNothing) {
  for (const char* optimizer : {"sgd", "adam", "adahessian", "sophia", "muon", "soap", "shampoo", "kfac", "ekfac"}) {
    SCOPED_TRACE(optimizer);
    TrainOptions o = tiny_options(dir_, optimizer);
    o.loss = LossKind::squared_error;
    o.batch = 20;
    o.optimizer_settings["rate"] = "1e200";
    if (o.optimizer.ends_with("kfac")) o.optimizer_settings["kl_clip"] = "0";
    o.steps = 1;
    const std::string one = dir_.file("one"), many = dir_.file("many");
    for (const std::string& run : {one, many}) fs::remove_all(run);
    const TrainResult before = train(in_folder(o, one));
    o.steps = 50;
    const TrainResult r = train(in_folder(o, many));
    EXPECT_EQ(r.stop_reason, "not_finite");
    EXPECT_TRUE(r.numerical_failure);
    EXPECT_EQ(r.accepted_steps, 1);
    EXPECT_EQ(r.history.back().step, 6);
    EXPECT_EQ(r.theta, before.theta);
    EXPECT_EQ(optimizer_at(many, 6), optimizer_at(one, 1));
  }
}

TEST_F(TrainingFaults, AFailureThatIsTheLastStepIsAVerdictToo) {
  TrainOptions o = tiny_options(dir_, "sgd");
  o.loss = LossKind::squared_error;
  o.optimizer_settings["rate"] = "1e200";
  o.batch = 48;
  o.epochs = 3;  // a step each: two fail
  const TrainResult r = train(o);
  EXPECT_EQ(r.stop_reason, "not_finite");
  EXPECT_TRUE(r.numerical_failure);
  EXPECT_EQ(r.history.back().step, 3);
}

TEST_F(TrainingFaults, ATrainingThatDivergedSaysSo) {
  const std::vector<std::string> words{
      "train", "--device", "cpu", "--data", write_tiny_data(dir_), "--model", "mlp:2-4-2:tanh", "--optimizer",
      "sgd",   "--epochs", "3",   "--out",  dir_.file("run"),      "--rate"};
  const auto with_rate = [&](const char* rate) {
    fs::remove_all(dir_.file("run"));
    std::vector<std::string> all = words;
    all.push_back(rate);
    return run_program(all);
  };
  EXPECT_EQ(with_rate("0.1").exit_code, 0);
  const ProgramResult r = with_rate("1e10");
  EXPECT_EQ(r.exit_code, 5);
  EXPECT_TRUE(contains(r.err, "diverged: the objective is", "at the start it was"));
  EXPECT_TRUE(fs::exists(dir_.file("run/theta.npy")));
}

/// Wherever in a step the training is asked whether to stop.
TEST_F(TrainingFaults, AStepThatIsLeftInItsMiddleIsTakenAgain) {
  for (const char* optimizer : {"hso.kfac", "hso.cg", "hso.rank1", "lbfgs", "soap", "sophia"}) {
    SCOPED_TRACE(optimizer);
    TrainOptions o = tiny_options(dir_, optimizer);
    o.steps = 4;
    o.max_trials = 100;
    const std::string whole = dir_.file("whole"), cut = dir_.file("cut");
    fs::remove_all(whole);
    train(in_folder(o, whole));
    int left = 0;
    for (const int limit : {1, 3, 4, 6, 9, 14, 20}) {
      fs::remove_all(cut);
      int asked = 0;
      TrainHooks hooks;
      hooks.interrupted = [] { return false; };
      std::string reason;
      {
        const InterruptScope scope([&] { return ++asked > limit; });
        reason = train(in_folder(o, cut), hooks).stop_reason;
      }
      left += reason == "interrupted" ? 1 : 0;
      train(resumed(in_folder(o, cut)));
      expect_same_run(whole, cut);
    }
    EXPECT_GT(left, 0);
  }
}

}  // namespace
}  // namespace hso::test
