// SPDX-License-Identifier: Apache-2.0
//
// A training that was stopped goes on to the bit, whatever method, rows and stopping rule it has.
#include <gtest/gtest.h>

#include <filesystem>

#include "hsogpu/core/error.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/training_runs.hpp"
#include "train/checkpoint_files.hpp"
#include "train/saved_run.hpp"

namespace hso::test {
namespace {

namespace fs = std::filesystem;

class Resume : public testing::Test {
 protected:
  /// 48 rows in batches of 20: three steps an epoch, the last of them short.
  TrainOptions options(const std::string& optimizer, Index epochs = 4) const {
    TrainOptions o = tiny_options(dir_, optimizer);
    o.batch = 20;
    o.epochs = epochs;
    return o;
  }
  std::string folder(const std::string& name) const { return dir_.file(name); }

  /// The uninterrupted run, and one that is stopped at each of the steps.
  void expect_goes_on(const TrainOptions& o, const std::vector<Index>& stops, const TrainStart& start = {}) {
    const std::string whole = folder("whole"), cut = folder("cut");
    for (const std::string& run : {whole, cut}) fs::remove_all(run);
    const TrainResult uninterrupted = train(in_folder(o, whole), {}, start);
    Index before = 0;
    TrainOptions next = in_folder(o, cut);
    for (const Index stop : stops) {
      const TrainResult r = train_until(next, stop - before, start);
      ASSERT_EQ(r.stop_reason, "interrupted");
      ASSERT_TRUE(fs::exists(checkpoint_folder(cut, stop))) << stop;
      before = stop;
      next.resume = true;
    }
    const TrainResult r = train(next, {}, start);
    EXPECT_EQ(r.stop_reason, uninterrupted.stop_reason);
    EXPECT_EQ(r.theta, uninterrupted.theta);
    EXPECT_EQ(r.accepted_steps, uninterrupted.accepted_steps);
    EXPECT_EQ(r.trials, uninterrupted.trials);
    EXPECT_EQ(r.last.gradient_equivalents, uninterrupted.last.gradient_equivalents);
    expect_same_run(whole, cut);
  }

  const WithoutFlushes quick_;
  TempDir dir_;
};

TEST_F(Resume, InTheMiddleOfAnEpoch) {
  for (const char* precision : {"float32", "float64"})
    for (const char* optimizer : {"adam", "hso.kfac", "muon", "kfac"}) {
      SCOPED_TRACE(std::string(optimizer) + " " + precision);
      TrainOptions o = options(optimizer);
      o.precision = precision;
      o.wrappers = {"warmup:5"};
      expect_goes_on(o, {2, 7});
    }
}

TEST_F(Resume, OfAllRows) {
  for (const char* optimizer : {"hso", "lbfgs", "hso.cg"}) {
    SCOPED_TRACE(optimizer);
    TrainOptions o = tiny_options(dir_, optimizer);
    o.steps = 8;
    expect_goes_on(o, {3});
  }
}

TEST_F(Resume, WithACurvatureBatchAPenaltyAndSpectra) {
  TrainOptions o = options("hso.lowrank");
  o.curvature_batch = 10;
  o.l1 = 1e-3;
  o.weight_decay = 1e-2;
  o.spectrum_every = 4;
  expect_goes_on(o, {5});
  EXPECT_EQ(read_text(folder("whole/spectra.jsonl")), read_text(folder("cut/spectra.jsonl")));
}

TEST_F(Resume, UnderAMask) {
  TrainStart start;
  start.mask.kept.assign(22, 1);
  start.mask.kept[1] = start.mask.kept[12] = 0;
  expect_goes_on(options("adam"), {4}, start);
}

/// What patience counts and keeps is part of the state; a record that the stop alone has made is not.
TEST_F(Resume, WithPatienceAndRecordsBetweenTheStops) {
  TrainOptions o = options("adam", 200);
  o.optimizer_settings["rate"] = "0.1";
  o.patience = 3;
  o.evaluate_every = 4;
  expect_goes_on(o, {3, 6, 9});
  EXPECT_EQ(load_run(folder("whole")).theta, load_run(folder("cut")).theta);
}

TEST_F(Resume, StopsWhereABudgetEnds) {
  TrainOptions o = options("adam", 1000);
  o.max_gradients = 5.5;
  expect_goes_on(o, {4});
}

TEST_F(Resume, ARunThatHadEndedGoesOnToLaterLimits) {
  TrainOptions o = options("adam", 5);
  const std::string whole = folder("whole"), cut = folder("cut");
  o.evaluate_every = 4;  // the record at its end, step 6, is none of a longer training
  train(in_folder(o, whole));
  o.epochs = 2;
  train(in_folder(o, cut));
  EXPECT_EQ(train(resumed(in_folder(o, cut))).last.step, 6) << "nothing is left to do";
  o.epochs = 5;
  o.max_trials = 0;
  train(resumed(in_folder(o, cut)));
  expect_same_run(whole, cut);
  EXPECT_EQ(parse_train_options(read_text(cut + "/config.toml"), "config").epochs, 5);
}

TEST_F(Resume, WithoutACheckpointItBeginsAnew) {
  const TrainOptions o = options("adam");
  train(in_folder(o, folder("whole")));
  train_until(in_folder(o, folder("cut")), 4);
  fs::remove_all(folder("cut/checkpoints"));
  std::string notes;
  TrainHooks hooks;
  hooks.on_note = [&](const std::string& text) { notes += text; };
  const TrainOptions kept = load_run_config(folder("cut"));  // all that the program knows
  train(resumed(kept), hooks);
  EXPECT_TRUE(contains(notes, "no checkpoint yet"));
  expect_same_run(folder("whole"), folder("cut"));
}

TEST_F(Resume, SaysWhatIsNotThere) {
  const auto message = [&](const std::string& run) {
    return message_of<InputError>([&] { train(resumed(in_folder(options("adam"), run))); });
  };
  EXPECT_TRUE(contains(message(folder("none")), "none: no such folder, expected a run directory"));
  fs::create_directory(folder("empty"));
  EXPECT_TRUE(contains(message(folder("empty")), "empty: found no config.toml, expected a run directory"));
}

TEST_F(Resume, OtherOptionsAreNamed) {
  const TrainOptions o = options("adam");
  train_until(in_folder(o, folder("cut")), 4);
  const auto message = [&](const TrainOptions& other) {
    return message_of<UsageError>([&] { train(resumed(in_folder(other, folder("cut")))); });
  };
  TrainOptions other = o;
  other.seed = 3;
  EXPECT_TRUE(contains(message(other), "seed is 3, expected 0 as the run has it"));
  other = o;
  other.optimizer_settings["rate"] = "0.5";
  EXPECT_TRUE(contains(message(other), "option rate of adam is 0.5, expected 0.003"));
  other = o;
  other.batch = 16;
  EXPECT_TRUE(contains(message(other), "batch is 16, expected 20"));
  TempDir elsewhere;
  other = o;
  std::string text = read_text(o.data);
  text[text.rfind(',') + 1] ^= 1;  // one class
  other.data = o.data;
  dir_.write("tiny.csv", text + "0.5,0.25,1\n");
  EXPECT_TRUE(contains(message_of<InputError>([&] { train(resumed(in_folder(other, folder("cut")))); }), "the data",
                       "are not those that the run began with"));
}

/// As the program does it: the options are those of the run.
TEST_F(Resume, ByTheProgram) {
  const std::vector<std::string> words{
      "train",       "--device", "cpu",     "--data", write_tiny_data(dir_), "--model", "mlp:2-4-2:tanh", "--quiet",
      "--optimizer", "adam",     "--batch", "20"};
  const auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> all = words;
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
  };
  ASSERT_EQ(run({"--epochs", "6", "--out", folder("whole")}).exit_code, 0);
  ASSERT_EQ(run({"--steps", "7", "--out", folder("cut")}).exit_code, 0);
  const auto resume = [&](std::vector<std::string> more) {
    std::vector<std::string> all{"train", "--resume", folder("cut"), "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
  };
  EXPECT_TRUE(contains(resume({"--seed", "4"}).err, "seed is 4, expected 0"));
  EXPECT_EQ(resume({"--rate", "0.5"}).exit_code, 2);
  EXPECT_EQ(resume({"--out", folder("other")}).exit_code, 2);
  EXPECT_EQ(run_program({"train", "--resume", folder("none")}).exit_code, 3);
  EXPECT_TRUE(contains(run_program({"train", "--resume", checkpoint_folder(folder("cut"), 7)}).err,
                       "expected a run directory, not one of its checkpoints"));
  const ProgramResult r = resume({"--epochs", "6"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "goes on at step 7"));
  expect_same_run(folder("whole"), folder("cut"));
}

}  // namespace
}  // namespace hso::test
