// SPDX-License-Identifier: Apache-2.0
//
// Training from a start, under a mask and with an L1 penalty: library, run directory, program.
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
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"
#include "train/fields.hpp"
#include "train/mask_file.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::message_of;
using test::read_lines;
using test::TempDir;
using test::tiny_options;

/// Every third parameter of mlp:2-4-2, which has 22, removed.
Mask third_removed() {
  Mask mask = Mask::all(22);
  for (std::size_t i = 0; i < 22; i += 3) mask.kept[i] = 0;
  return mask;
}

TrainStart under(Mask mask) {
  TrainStart start;
  start.mask = std::move(mask);
  return start;
}

bool is_clear(const std::vector<double>& theta, const Mask& mask) {
  for (std::size_t i = 0; i < theta.size(); ++i)
    if (mask.kept[i] == 0 && (theta[i] != 0 || std::signbit(theta[i]))) return false;
  return true;
}

TEST(MaskedTraining, MasksSurviveCheckpointsToTheBit) {
  const TempDir dir;
  for (const char* precision : {"float32", "float64"}) {
    TrainOptions options = tiny_options(dir, "muon");
    options.precision = precision;
    options.batch = 16;
    options.epochs = 0;
    options.steps = 4;
    options.checkpoint_every = 2;
    options.run_directory = dir.file("run");
    options.overwrite = true;
    const Mask mask = third_removed();
    const TrainResult result = train(options, {}, under(mask));
    EXPECT_TRUE(is_clear(result.theta, mask));
    for (const char* folder : {"run", "run/checkpoints/step_2", "run/checkpoints/step_4"}) {
      const SavedRun saved = load_run(dir.file(folder));
      EXPECT_EQ(saved.mask, mask) << folder;
      EXPECT_TRUE(is_clear(saved.theta, mask)) << folder;
    }
    EXPECT_EQ(load_run(dir.file("run")).theta, result.theta);
    EXPECT_EQ(train(options, {}, under(mask)).theta, result.theta) << "same seed, same bits";
    EXPECT_EQ(read_safetensors(dir.file("run/mask.safetensors")).tensors.at("0.weight").shape, (Shape{4, 2}));
  }
  TrainOptions plain = tiny_options(dir, "sgd");
  plain.run_directory = dir.file("run");
  plain.overwrite = true;
  train(plain);
  EXPECT_FALSE(fs::exists(dir.file("run/mask.safetensors"))) << "the earlier run's is gone";
  EXPECT_TRUE(load_run(dir.file("run")).mask.kept.empty());
}

/// Hidden neurons of mlp:2-H-2 that are kept, as a mask (incoming weights, bias, outgoing weights) and as positions.
struct Neurons {
  Mask mask;
  std::vector<std::size_t> places;  ///< of the kept parameters
};
Neurons keep_neurons(const std::vector<std::size_t>& kept, std::size_t hidden) {
  Neurons out;
  const auto is_kept = [&](std::size_t h) { return std::find(kept.begin(), kept.end(), h) != kept.end(); };
  for (std::size_t i = 0; i < 2 * hidden; ++i) out.mask.kept.push_back(is_kept(i / 2));       // 0.weight [H][2]
  for (std::size_t h = 0; h < hidden; ++h) out.mask.kept.push_back(is_kept(h));               // 0.bias [H]
  for (std::size_t i = 0; i < 2 * hidden; ++i) out.mask.kept.push_back(is_kept(i % hidden));  // 2.weight [2][H]
  for (int i = 0; i < 2; ++i) out.mask.kept.push_back(1);                                     // 2.bias
  for (std::size_t i = 0; i < out.mask.kept.size(); ++i)
    if (out.mask.kept[i] != 0) out.places.push_back(i);
  return out;
}

std::vector<double> gather(const std::vector<double>& theta, const std::vector<std::size_t>& places) {
  std::vector<double> out;
  for (std::size_t i : places) out.push_back(theta[i]);
  return out;
}

class MaskedNeurons : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Methods, MaskedNeurons, testing::Values("sgd", "momentum", "adam", "hso", "lbfgs"));

TEST_P(MaskedNeurons, TrainAsTheSmallerNetworkDoes) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, GetParam());
  options.steps = 8;
  options.batch = 48;
  options.l1 = 1e-3;
  options.weight_decay = 1e-2;
  options.model = "mlp:2-6-2:tanh";
  const Neurons neurons = keep_neurons({1, 2, 5}, 6);
  TrainStart wide = under(neurons.mask), narrow;
  wide.theta = initial_parameters(build_network<double>(parse_model(options.model), options.loss).parameters,
                                  Initialization::glorot, 3);
  narrow.theta = gather(wide.theta, neurons.places);
  narrow.model = parse_model("mlp:2-3-2:tanh");
  const TrainResult masked = train(options, {}, wide), small = train(options, {}, narrow);
  EXPECT_GT(masked.accepted_steps, 3);
  EXPECT_EQ(masked.accepted_steps, small.accepted_steps);
  EXPECT_TRUE(is_clear(masked.theta, neurons.mask));
  const std::vector<double> left = gather(masked.theta, neurons.places);
  ASSERT_EQ(left.size(), small.theta.size());
  // Sums of at most 48 products are ordered differently: 1e-15 in a gradient. Solves with delta = 0.01 amplify that by
  // at most 1 / delta in each of eight steps, and Adam's quotient by 1 / |g| on entries down to 1e-4.
  for (std::size_t i = 0; i < left.size(); ++i) EXPECT_NEAR(left[i], small.theta[i], 1e-9) << i;
  EXPECT_NEAR(masked.last.objective, small.last.objective, 1e-9);
  EXPECT_NE(small.theta, narrow.theta);
}

TEST(MaskedTraining, L1IsPartOfTheObjectiveAndShrinksTheSum) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.epochs = 40;
  const auto sum = [](const TrainResult& r) {
    double total = 0;
    for (double t : r.theta) total += std::abs(t);
    return total;
  };
  const TrainResult plain = train(options);
  options.l1 = 0.05;
  const TrainResult shrunk = train(options);
  EXPECT_EQ(plain.last.objective, plain.last.train.loss);
  EXPECT_NEAR(shrunk.last.objective, shrunk.last.train.loss + 0.05 * sum(shrunk), 1e-14);
  EXPECT_LT(sum(shrunk), 0.8 * sum(plain));
  EXPECT_EQ(parse_train_options(to_toml(options), "copy").l1, 0.05);
}

TEST(MaskedTraining, GoesOnFromARunWithItsMask) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "adam");
  options.steps = 3;
  options.scaling = Scaling::per_feature;
  options.run_directory = dir.file("first");
  const TrainResult first = train(options, {}, under(third_removed()));
  options.optimizer = "momentum";
  options.start = dir.file("first");
  options.run_directory = dir.file("second");
  const TrainResult second = train(options);
  EXPECT_EQ(second.history.front().step, 0);
  EXPECT_EQ(second.history.front().train.loss, first.last.train.loss);
  EXPECT_EQ(read_lines(dir.file("second/metrics.jsonl")).front()["step"], 0);
  EXPECT_NE(second.theta, first.theta);
  const SavedRun saved = load_run(dir.file("second"));
  EXPECT_EQ(saved.mask, third_removed());
  EXPECT_EQ(saved.options.start, options.start);
  EXPECT_EQ(saved.standardizer.mean, load_run(dir.file("first")).standardizer.mean);
  options.start = dir.file("first/checkpoints/step_3");
  options.run_directory = "";
  EXPECT_EQ(train(options).theta, second.theta);
  options.start = "";
  EXPECT_EQ(to_toml(options).find("start ="), std::string::npos);
}

TEST(MaskedTraining, ANetworkThatNoWordDescribesGoesOnToo) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.steps = 2;
  options.run_directory = dir.file("small");
  TrainStart shrunken;
  shrunken.model = parse_model("mlp:2-3-2:tanh");
  const TrainResult small = train(options, {}, shrunken);
  EXPECT_EQ(small.theta.size(), 17u);
  options.start = dir.file("small");
  options.run_directory = "";
  EXPECT_EQ(train(options).theta.size(), 17u) << "model.toml of the run, whose word for it is the same";
}

TEST(MaskedTraining, PreparedDataIsTakenAsItIs) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso");
  options.steps = 3;
  options.scaling = Scaling::standard;
  const TrainResult read = train(options);
  DataSplit split = load_data(options.data, options.test_fraction, options.seed);
  TrainStart start;
  start.standardizer = Standardizer::fit(split.train, options.scaling);
  for (Dataset* part : {&split.train, &split.test}) start.standardizer->apply(*part);
  start.split = &split;
  options.data = "nothing-to-read.csv";
  options.run_directory = dir.file("run");
  options.overwrite = true;
  EXPECT_EQ(train(options, {}, start).theta, read.theta);
  EXPECT_EQ(load_run(dir.file("run")).standardizer.scale, start.standardizer->scale);
  EXPECT_EQ(train(options, {}, start).theta, read.theta) << "the split is the caller's";
}

TEST(MaskedTraining, CurvatureBatchesAndSpectraSeeTheMask) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "hso.lowrank");
  options.steps = 2;
  options.max_trials = 4;
  options.curvature_batch = 16;
  options.spectrum_every = 1;
  options.run_directory = dir.file("run");
  Mask mask = Mask::all(22);
  std::fill(mask.kept.begin() + 12, mask.kept.end(), std::uint8_t{0});  // layer 2
  EXPECT_TRUE(is_clear(train(options, {}, under(mask)).theta, mask));
  for (const auto& line : read_lines(dir.file("run/spectra.jsonl"))) {
    if (line["layer"] != "2") continue;
    for (const double value : line["eigenvalues"]) EXPECT_EQ(value, 0);
  }
}

/// The plan grows by mask, point, trial point, displacement and scratch; the high-water mark by no more.
TEST(MaskedTraining, ThePlanCoversMaskAndPenalty) {
  for (const char* optimizer : {"adam", "hso.cg", "kfac"}) {
    TrainOptions options;
    options.device = "cpu";
    options.optimizer = optimizer;
    options.model = "mlp:64-400-100-10:tanh";
    if (options.optimizer == "hso.cg") options.optimizer_settings = {{"iterations", "2"}};
    options.batch = 256;
    options.steps = 2;
    const auto n = build_network<float>(parse_model(options.model), options.loss).graph.parameter_count();
    Mask mask = Mask::all(n);
    for (std::size_t i = 0; i < mask.kept.size(); i += 2) mask.kept[i] = 0;
    const TrainResult plain = train(options);
    options.l1 = 1e-5;
    const TrainResult masked = train(options, {}, under(mask));
    EXPECT_LE(masked.peak_bytes, masked.planned_bytes) << optimizer;
    const Index planned = masked.planned_bytes - plain.planned_bytes;
    EXPECT_EQ(planned, n * (5 * static_cast<Index>(sizeof(float)) + 2)) << optimizer;
    EXPECT_LE(masked.peak_bytes - plain.peak_bytes, planned) << optimizer;
    EXPECT_GE(masked.peak_bytes - plain.peak_bytes, n * (3 * static_cast<Index>(sizeof(float)) + 2)) << optimizer;
  }
}

TEST(MaskedTraining, StartsThatDoNotFitAreRefused) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.steps = 1;
  TrainStart start;
  start.theta = {1, 2, 3};
  EXPECT_TRUE(contains(message_of<InputError>([&] { train(options, {}, start); }), "theta of 3", "22"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { train(options, {}, under(Mask::all(5))); }), "mask of 5", "22"));
  options.run_directory = dir.file("run");
  train(options);
  options.start = dir.file("run");
  EXPECT_TRUE(contains(message_of<UsageError>([&] { train(options); }), "overwrite"));
  options.run_directory = dir.file("other");
  options.model = "mlp:2-5-2:tanh";
  EXPECT_TRUE(contains(message_of<InputError>([&] { train(options); }), "0.weight [4, 2]", "0.weight [5, 2]"));
  options.model = "mlp:2-4-3-2:tanh";
  EXPECT_TRUE(contains(message_of<InputError>([&] { train(options); }), "2.weight [2, 4]", "2.weight [3, 4]"));
  options.start = dir.file("nowhere");
  EXPECT_TRUE(contains(message_of<InputError>([&] { train(options); }), "nowhere"));
  options.start = "";
  options.l1 = -1;
  EXPECT_TRUE(contains(message_of<UsageError>([&] { train(options); }), "l1", "-1"));
  EXPECT_FALSE(fs::exists(dir.file("other"))) << "nothing was written";
}

TEST(MaskFile, WhatIsWrongIsNamed) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "sgd");
  options.steps = 1;
  options.run_directory = dir.file("run");
  train(options, {}, under(third_removed()));
  const auto parameters = build_network<double>(parse_model(options.model), options.loss).parameters;
  const std::string file = dir.file("run/mask.safetensors");
  const auto error = [&](const Mask& mask, const std::vector<ParameterInfo>& of) {
    write_mask(file, mask, of);
    return message_of<InputError>([&] { load_run(dir.file("run")); });
  };
  Mask two = third_removed();
  two.kept[9] = 2;
  EXPECT_TRUE(contains(error(two, parameters), file, "0.bias", "value 2", "0 or 1"));
  Mask more = third_removed();
  more.kept[1] = 0;
  EXPECT_TRUE(contains(error(more, parameters), "model.safetensors", "0.weight", "at 1", "expected 0"));
  std::vector<ParameterInfo> fewer(parameters.begin(), parameters.end() - 1);
  EXPECT_TRUE(contains(error(third_removed(), fewer), "2.bias", "missing"));
  auto named = parameters;
  named[0].name = "9.weight";
  EXPECT_TRUE(contains(error(third_removed(), named), "9.weight", "no parameter"));
  auto turned = parameters;
  turned[0].shape = Shape{2, 4};
  EXPECT_TRUE(contains(error(third_removed(), turned), "0.weight", "[2, 4]", "[4, 2]"));
}

TEST(MaskedTraining, TheProgramTakesWhatTheRunLearnedFrom) {
  const TempDir dir;
  TrainOptions options = tiny_options(dir, "adam");
  options.steps = 3;
  options.seed = 7;
  options.run_directory = dir.file("first");
  const TrainResult first = train(options, {}, under(third_removed()));
  const auto r = test::run_program({"train", "--start", dir.file("first"), "--optimizer", "sgd", "--steps", "2",
                                    "--device", "cpu", "--out", dir.file("second"), "--quiet"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const SavedRun second = load_run(dir.file("second"));
  EXPECT_EQ(second.mask, third_removed());
  EXPECT_EQ(second.options.seed, 7u) << "the same test part";
  EXPECT_EQ(second.options.precision, "float64");
  EXPECT_EQ(read_lines(dir.file("second/metrics.jsonl")).front()["test_loss"], first.last.test.loss);
  const auto evaluated = test::run_program({"eval", "--checkpoint", dir.file("second"), "--device", "cpu", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(nlohmann::json::parse(evaluated.out)["train"]["loss"],
            read_lines(dir.file("second/metrics.jsonl")).back()["train_loss"]);
}

}  // namespace
}  // namespace hso
