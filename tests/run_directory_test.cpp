// SPDX-License-Identifier: Apache-2.0
//
// What a training leaves on disk, and what reads it back.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/train/train.hpp"
#include "support/json_lines.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"
#include "train/fields.hpp"
#include "train/run_directory.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::message_of;
using test::read_lines;
using test::TempDir;
using test::tiny_options;

/// Names under `folder`, checkpoints included.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(RunDirectory, IsCompleteAndReadsBack) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.steps = 3;
  options.run_directory = dir.file("runs/a");
  options.scaling = Scaling::per_feature;
  const TrainResult result = train(options);
  const std::string run = options.run_directory;
  EXPECT_EQ(result.run_directory, run);
  const std::string last = "checkpoints/step_" + std::to_string(result.last.step) + "/";
  EXPECT_EQ(names_in(run),
            (std::vector<std::string>{last + "checkpoint.json", last + "model.safetensors", last + "state.safetensors",
                                      "config.toml", "data.json", "env.json", "metrics.jsonl", "model.safetensors",
                                      "model.toml", "result.json", "standardizer.json", "theta.npy"}));
  EXPECT_EQ(read_npy(run + "/theta.npy").values, result.theta);
  const SafeTensors tensors = read_safetensors(run + "/model.safetensors");
  EXPECT_EQ(tensors.tensors.at("0.weight").shape, (Shape{4, 2}));
  EXPECT_EQ(tensors.tensors.at("2.bias").values, std::vector<double>(result.theta.end() - 2, result.theta.end()));

  const SavedRun saved = load_run(run);
  EXPECT_EQ(saved.theta, result.theta);
  EXPECT_EQ(saved.standardizer.mean.size(), 2u);
  EXPECT_EQ(saved.options.optimizer_settings.at("sign"), "abs") << "config.toml spells out the defaults";
  EXPECT_EQ(saved.options.batch, 48);
  TrainOptions again = saved.options;
  again.run_directory = "";
  EXPECT_EQ(train(again).theta, result.theta) << "config.toml repeats the run to the bit";
}

TEST(RunDirectory, SaysWhyTheTrainingStopped) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.epochs = 400;
  options.patience = 3;
  options.run_directory = dir.file("run");
  const TrainResult result = train(options);
  const auto json = nlohmann::json::parse(read_text(dir.file("run") + "/result.json"));
  EXPECT_EQ(json["stop_reason"], result.stop_reason);
  EXPECT_EQ(json["steps"], result.history.back().step);
  EXPECT_EQ(json["kept_step"], result.last.step);
  EXPECT_EQ(json["accepted"], result.accepted_steps);
}

TEST(RunDirectory, WrappersAreKeptAndRepeatTheRun) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hvp");
  options.epochs = 3;
  options.wrappers = {"adam:0.01", "warmup:2", "cosine:9"};
  options.run_directory = dir.file("run");
  const TrainResult result = train(options);
  TrainOptions again = load_run(options.run_directory).options;
  EXPECT_EQ(again.wrappers, options.wrappers);
  again.run_directory = "";
  EXPECT_EQ(train(again).theta, result.theta);
  options.run_directory = "";
  options.wrappers = {"adam:0.01"};
  EXPECT_NE(train(options).theta, result.theta);
  EXPECT_TRUE(read_lines(dir.file("run/metrics.jsonl")).back().contains("factor_warmup"));
}

TEST(RunDirectory, SpectraOverTrainingAreWrittenWhenAskedFor) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.steps = 2;
  options.max_trials = 2;
  options.spectrum_every = 1;
  options.spectrum_kind = "ggn";
  EXPECT_TRUE(contains(message_of<UsageError>([&] { train(options); }), "spectrum_every", "run directory"));
  options.run_directory = dir.file("run");
  const TrainResult result = train(options);
  const auto lines = read_lines(dir.file("run/spectra.jsonl"));
  ASSERT_EQ(lines.size(), 3 * result.history.size());
  for (std::size_t i = 0; i < lines.size(); i += 3) {
    EXPECT_EQ(lines[i]["step"], i / 3);
    EXPECT_EQ(lines[i]["layer"], "all");
    EXPECT_EQ(lines[i + 1]["layer"], "0");
    EXPECT_EQ(lines[i + 2]["n"], 4 * 2 + 2);
    EXPECT_EQ(lines[i]["kind"], "ggn");
    EXPECT_GE(lines[i]["eigenvalues"].back(), lines[i + 1]["eigenvalues"].back()) << "blocks interlace";
    // Traces add up over blocks; each is known to within its interval.
    double sum = 0, room = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      const double value = lines[i + k]["trace"]["value"], high = lines[i + k]["trace"]["interval"][1];
      sum += k == 0 ? value : -value;
      room += high - value;
    }
    EXPECT_LE(std::abs(sum), room);
  }
}

TEST(RunDirectory, MetricsHaveTheirKeysAndTheOptimizersOwn) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.steps = 2;
  options.run_directory = dir.file("run");
  const TrainResult result = train(options);
  const auto lines = read_lines(dir.file("run/metrics.jsonl"));
  ASSERT_EQ(lines.size(), result.history.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (const char* key : {"step", "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds",
                            "processor_seconds", "objective"})
      EXPECT_TRUE(lines[i].contains(key)) << key << " in line " << i;
    EXPECT_EQ(lines[i]["train_loss"].get<double>(), result.history[i].train.loss);
    for (const auto& [name, value] : result.history[i].report.metrics)
      EXPECT_TRUE(lines[i].contains(name)) << name << " in line " << i;
  }
  EXPECT_EQ(lines[0]["step"], 0);
  EXPECT_FALSE(lines[0].contains("status"));
  EXPECT_EQ(lines[1]["status"], "accepted");
  const auto env = nlohmann::json::parse(read_text(dir.file("run/env.json")));
  for (const char* key : {"version", "device", "libraries", "core_type", "time", "seed", "command_line"})
    EXPECT_TRUE(env.contains(key)) << key;
}

TEST(RunDirectory, WhatIsNotFiniteBecomesNull) {
  TrainRecord record;
  record.step = 1;
  record.test.loss = std::nan("");
  record.report.loss_after = HUGE_VAL;
  record.report.metrics = {{"ratio", std::nan("")}, {"word", std::string("bad \xff byte")}};
  const auto line = nlohmann::json::parse(metrics_line(record));
  EXPECT_TRUE(line["test_loss"].is_null() && line["test_accuracy"].is_null());
  EXPECT_TRUE(line["loss_after"].is_null() && line["ratio"].is_null());
}

TEST(RunDirectory, AnInterruptedRunLeavesACheckpoint) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.batch = 8;
  options.run_directory = dir.file("run");
  int asked = 0;
  TrainHooks hooks;
  hooks.interrupted = [&] { return ++asked > 4; };
  const TrainResult result = train(options, hooks);
  EXPECT_EQ(result.stop_reason, "interrupted");
  EXPECT_EQ(result.last.step, 4) << "the last point is evaluated";
  EXPECT_EQ(load_run(dir.file("run/checkpoints/step_4")).theta, result.theta);
  const SafeTensors state = read_safetensors(dir.file("run/checkpoints/step_4/state.safetensors"));
  EXPECT_EQ(state.tensors.at("step").values[0], 4);
  EXPECT_EQ(state.tensors.at("row").values[0], 32);
  EXPECT_EQ(state.metadata.at("seed"), "0");
}

TEST(RunDirectory, CheckpointsAtTheirCadenceServeARunWithoutAnEnd) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.steps = 5;
  options.checkpoint_every = 2;
  options.run_directory = dir.file("run");
  const TrainResult result = train(options);
  for (const char* step : {"2", "4", "5"}) EXPECT_TRUE(fs::exists(dir.file("run/checkpoints/step_") + step));
  EXPECT_FALSE(fs::exists(dir.file("run/checkpoints/step_3")));
  fs::remove(dir.file("run/model.safetensors"));
  EXPECT_EQ(load_run(dir.file("run")).theta, result.theta) << "the last checkpoint counts";
  EXPECT_NE(load_run(dir.file("run/checkpoints/step_2/")).theta, result.theta);
}

TEST(RunDirectory, FoldersThatCannotBeUsedAreRefusedAndLeftAlone) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.epochs = 1;
  const auto error = [&](const std::string& path) {
    options.run_directory = path;
    return message_of<InputError>([&] { train(options); });
  };
  EXPECT_TRUE(contains(error(dir.file("tiny.csv/run")), dir.file("tiny.csv/run"), "Not a directory"));
  EXPECT_TRUE(contains(error(dir.file("tiny.csv")), dir.file("tiny.csv")));
  EXPECT_TRUE(contains(error("/proc/run"), "/proc/run"));
  EXPECT_TRUE(contains(error(dir.path().string()), "is not empty and holds no run"));
  EXPECT_EQ(names_in(dir.path().string()), std::vector<std::string>{"tiny.csv"});
}

TEST(RunDirectory, AnEarlierRunIsReplacedWhereAskedAndNumbersAreNotReused) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.steps = 2;
  options.run_directory = dir.file("run");
  train(options);
  options.steps = 3;
  EXPECT_TRUE(contains(message_of<InputError>([&] { train(options); }), "holds a run", "--overwrite"));
  EXPECT_TRUE(fs::exists(dir.file("run/checkpoints/step_2")));
  dir.write("run/notes.txt", "mine");
  dir.write("run/theta.npy.tmp-99999999-0", "a left-over");
  fs::create_directory(dir.file("run/checkpoints/step_9.tmp"));
  options.overwrite = true;
  train(options);
  EXPECT_TRUE(fs::exists(dir.file("run/notes.txt"))) << "what is no part of a run stays";
  EXPECT_FALSE(fs::exists(dir.file("run/theta.npy.tmp-99999999-0")));
  EXPECT_FALSE(fs::exists(dir.file("run/checkpoints/step_9.tmp")));
  EXPECT_FALSE(fs::exists(dir.file("run/.hso-lock")));
  EXPECT_TRUE(fs::exists(dir.file("run/checkpoints/step_3")));
  EXPECT_FALSE(fs::exists(dir.file("run/checkpoints/step_2")));
  options.run_directory = dir.file("runs/tiny-###");
  EXPECT_EQ(train(options).run_directory, dir.file("runs/tiny-001"));
  EXPECT_EQ(train(options).run_directory, dir.file("runs/tiny-002"));
}

TEST(RunDirectory, ARunThatIsDamagedNamesItsFile) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.steps = 1;
  options.run_directory = dir.file("run");
  train(options);
  const auto error = [&] { return message_of<InputError>([&] { load_run(dir.file("run")); }); };
  dir.write("run/standardizer.json", "{\"mean\": 1}");
  EXPECT_TRUE(contains(error(), "standardizer.json"));
  dir.write("run/model.toml", "input = [3]\n[[layer]]\ntype = \"linear\"\nout = 2\n");
  dir.write("run/standardizer.json", "{\"mean\": [0], \"scale\": [1]}");
  EXPECT_TRUE(contains(error(), "model.safetensors: tensor 0.weight has shape [4, 2], expected [2, 3]"));
  fs::remove(dir.file("run/config.toml"));
  EXPECT_TRUE(contains(error(), "found no config.toml"));
}

TEST(Config, RoundTripsEveryField) {
  TrainOptions options;
  options.model = "nets/a \"b\".toml";
  options.data = "x.npy,y.npy";
  options.loss = LossKind::bce;
  options.scaling = Scaling::per_feature;
  options.initialization = Initialization::kaiming;
  options.optimizer = "hvp";
  options.optimizer_settings = {{"rate", "1e-3"}, {"u", "random"}, {"alpha", "-.5"}};
  options.wrappers = {"clip:0.5", "warmup:3", "one_cycle:10:0.2"};
  options.precision = "float64";
  options.tf32 = true;
  options.steps = 17;
  options.weight_decay = 0.1;
  options.seed = 9007199254740993;  // no double holds it
  const TrainOptions back = parse_train_options(to_toml(options), "config.toml");
  for (const TrainField& field : train_fields())
    EXPECT_EQ(field_text(back, field), field_text(options, field)) << field.key;
  EXPECT_EQ(back.optimizer_settings.at("u"), "random");
  EXPECT_EQ(std::stod(back.optimizer_settings.at("rate")), 1e-3);
  EXPECT_EQ(std::stod(back.optimizer_settings.at("alpha")), -0.5);
  EXPECT_EQ(back.wrappers, options.wrappers);
  EXPECT_EQ(to_toml(back), to_toml(options));
}

TEST(Config, FaultsAreNamedWithTheirLine) {
  const auto error = [](const char* text) {
    return message_of<InputError>([&] { parse_train_options(text, "c.toml"); });
  };
  EXPECT_TRUE(contains(error("seed = 1\nweigth_decay = 1"), "c.toml:2", "unknown key 'weigth_decay'",
                       "did you mean 'weight_decay'"));
  EXPECT_TRUE(contains(error("seed = 1.5"), "c.toml:1: seed", "found '1.5', expected a whole number"));
  EXPECT_TRUE(contains(error("seed = \"1\""), "c.toml:1: seed", "expected a number"));
  EXPECT_TRUE(contains(error("\nloss = \"mse\""), "c.toml:2: loss", "mse", "squared_error"));
  EXPECT_TRUE(contains(error("[optimizer]\nname = \"adam\"\nbeta = 1"), "c.toml:3", "no option 'beta'"));
  EXPECT_TRUE(contains(error("[optimizer]\nname = \"adamm\""), "c.toml:2", "did you mean 'adam'"));
  EXPECT_TRUE(contains(error("seed = = 1"), "c.toml:1"));
  EXPECT_TRUE(contains(error("steps = [1]"), "c.toml:1: steps"));
  EXPECT_TRUE(contains(error("wrap = \"adam\""), "c.toml:1: wrap", "expected a list of strings"));
  EXPECT_TRUE(contains(error("wrap = [1]"), "c.toml:1: wrap", "expected a list of strings"));
  EXPECT_TRUE(contains(error("seed = 1\nwrap = [\"adm\"]"), "c.toml:2: wrap", "did you mean 'adam'"));
}

TEST(Config, AnotherOptimizerTakesNoneOfTheSettings) {
  TrainOptions options = parse_train_options("[optimizer]\nname = \"hso\"\ndelta = 0.5", "c.toml");
  EXPECT_EQ(options.optimizer_settings.size(), 1u);
  const TrainField& field = *find_train_field("optimizer");
  set_field(options, field, "hso", "--optimizer");
  EXPECT_EQ(options.optimizer_settings.size(), 1u);
  set_field(options, field, "adam", "--optimizer");
  EXPECT_TRUE(options.optimizer_settings.empty());
}

}  // namespace
}  // namespace hso
