// SPDX-License-Identifier: Apache-2.0
//
// The program's train, eval and info, and how it answers bad input: exit code, message, nothing half-written.
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/streams.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "hsogpu/version.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::ProgramResult;
using test::run_program;
using test::TempDir;

/// A variable of the environment for the life of a test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

class Program : public testing::Test {
 protected:
  ProgramResult train(std::vector<std::string> more) {
    std::vector<std::string> arguments{"train",   "--device",       "cpu",   "--data", data_,
                                       "--model", "mlp:2-4-2:tanh", "--out", out_,     "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  void expect_refused(const std::vector<std::string>& more, int code, const std::vector<std::string>& parts) {
    const ProgramResult r = train(more);
    EXPECT_EQ(r.exit_code, code) << r.err;
    for (const std::string& part : parts) EXPECT_TRUE(contains(r.err, part));
    EXPECT_FALSE(fs::exists(out_)) << "something was written";
  }
  TempDir dir_;
  std::string data_ = test::write_tiny_data(dir_);
  std::string out_ = dir_.file("run");
};

TEST_F(Program, TrainsAndEvaluatesTheSameNumbers) {
  const ProgramResult trained = train({"--optimizer", "hso", "--steps", "3", "--set", "delta=1e-3", "--set", "sign=abs",
                                       "--scaling", "standard", "--json"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto last = nlohmann::json::parse(trained.out);
  EXPECT_EQ(last["stop_reason"], "steps");
  const ProgramResult evaluated = run_program({"eval", "--checkpoint", out_, "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const auto json = nlohmann::json::parse(evaluated.out);
  EXPECT_NEAR(json["train"]["loss"].get<double>(), last["train_loss"].get<double>(), 1e-6);
  EXPECT_NEAR(json["test"]["loss"].get<double>(), last["test_loss"].get<double>(), 1e-6);
  EXPECT_EQ(json["test"]["accuracy"], last["test_accuracy"]);
  EXPECT_EQ(json["test"]["samples"], 12);
}

TEST_F(Program, EvaluatesAnAutoencoder) {
  const ProgramResult trained = train({"--model", "mlp:2-3-2:sigmoid", "--reconstruct", "--loss", "squared_error",
                                       "--optimizer", "hso.cg", "--steps", "2", "--json"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto last = nlohmann::json::parse(trained.out);
  const auto json = nlohmann::json::parse(run_program({"eval", "--checkpoint", out_, "--json"}).out);
  EXPECT_NEAR(json["train"]["loss"].get<double>(), last["train_loss"].get<double>(), 1e-6);
  EXPECT_TRUE(json["train"]["accuracy"].is_null());
  EXPECT_EQ(run_program({"gradient", "--checkpoint", out_, "--out", dir_.file("g.npy")}).exit_code, 0);
}

TEST_F(Program, EvaluatesOtherDataWithTheRunsScaling) {
  ASSERT_EQ(train({"--optimizer", "sgd", "--epochs", "1", "--scaling", "standard"}).exit_code, 0);
  // A copy under another name is all of the rows: its loss is the mean of both parts.
  fs::copy(data_, dir_.file("copy.csv"));
  const auto own = nlohmann::json::parse(run_program({"eval", "--checkpoint", out_, "--json"}).out);
  const ProgramResult r =
      run_program({"eval", "--checkpoint", out_, "--data", dir_.file("copy.csv"), "--json", "--precision", "float64"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const double all = nlohmann::json::parse(r.out)["all"]["loss"];
  EXPECT_NEAR(all, (48 * own["train"]["loss"].get<double>() + 12 * own["test"]["loss"].get<double>()) / 60, 1e-6);
}

/// Whatever other data is called, its part has a place of its own beside what was taken from the data.
TEST_F(Program, DataCalledDataIsEvaluated) {
  const std::string idx = std::string(HSO_SOURCE_DIR) + "/tests/data/formats/idx";
  fs::copy(idx, dir_.file("data"));
  ASSERT_EQ(run_program({"train", "--data", idx, "--model", "mlp:4-3-3:tanh", "--device", "cpu", "--optimizer", "sgd",
                         "--epochs", "1", "--quiet", "--out", out_})
                .exit_code,
            0);
  const std::string out = dir_.file("eval.json");
  test::Child child({"eval", "--checkpoint", out_, "--data", "data", "--json"},
                    "cd " + dir_.path().string() + " && exec \"$@\" >" + out);
  ASSERT_EQ(child.wait(), 0);
  const auto json = nlohmann::json::parse(read_text(out));
  EXPECT_EQ(json.at("data").at("source"), "data");
  EXPECT_EQ(json.at("all").at("samples"), 12);
}

TEST_F(Program, ProgressIsPlainLinesAndATable) {
  const ProgramResult r = run_program({"train", "--device", "cpu", "--data", data_, "--model", "mlp:2-4-2:tanh",
                                       "--optimizer", "hso", "--steps", "2", "--out", out_});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "train loss", "train accuracy", "test accuracy", "2 accepted", "device", out_));
  EXPECT_EQ(r.err.find('\r'), std::string::npos);
  EXPECT_EQ(r.out, "");
}

TEST_F(Program, FlagsWinOverVariablesOverTheFileOverDefaults) {
  const std::string file = dir_.write("c.toml", "steps = 2\nbatch = 9\nseed = 5\n[optimizer]\nname = \"sgd\"\n");
  const Variable batch("HSO_BATCH", "8"), seed("HSO_SEED", "6");
  ASSERT_EQ(train({"--config", file, "--seed", "7", "--rate", "0.25"}).exit_code, 0);
  const std::string config = read_text(out_ + "/config.toml");
  for (const char* line :
       {"steps = 2\n", "batch = 8\n", "seed = 7\n", "name = \"sgd\"\n", "rate = 0.25\n", "loss = \"cross_entropy\"\n"})
    EXPECT_TRUE(contains(config, line));
}

TEST_F(Program, WrappersAreAListOfWhichEveryFlagCounts) {
  const Variable ignored("HSO_WRAP", "momentum");
  ASSERT_EQ(
      train({"--optimizer", "sgd", "--epochs", "1", "--wrap", "clip:0.5", "--wrap", "warmup:3,cosine:9:0.1"}).exit_code,
      0);
  EXPECT_TRUE(contains(read_text(out_ + "/config.toml"), "wrap = [\"clip:0.5\", \"warmup:3\", \"cosine:9:0.1\"]\n"));
}

TEST_F(Program, BadVariablesAndSettingsAreUsageErrors) {
  {
    const Variable seed("HSO_SEED", "x");
    expect_refused({}, 2, {"HSO_SEED", "found 'x'", "whole number"});
  }
  expect_refused({"--steps", "two"}, 2, {"--steps", "found 'two'"});
  expect_refused({"--weight-decay", "-1"}, 2, {"--weight-decay", "found '-1'"});
  expect_refused({"--set", "delta"}, 2, {"--set", "found 'delta'", "NAME=VALUE"});
  expect_refused({"--set", "dleta=1"}, 2, {"dleta", "did you mean 'delta'"});
  expect_refused({"--set", "delta=big"}, 2, {"delta", "big", "a number"});
  expect_refused({"--optimizer", "hso", "--set", "sign=absolute"}, 2, {"absolute", "abs"});
  expect_refused({"--optimizer", "sdg"}, 2, {"--optimizer", "did you mean 'sgd'"});
  expect_refused({"--wrap", "coisne:3"}, 2, {"--wrap", "did you mean 'cosine'"});
  expect_refused({"--wrap", "warmup"}, 2, {"--wrap", "warmup:STEPS"});
  expect_refused({"--loss", "mse"}, 2, {"--loss", "squared_error"});
  expect_refused({"--precision", "half"}, 2, {"precision", "half"});
  expect_refused({"--optimzer", "sgd"}, 2, {"--optimzer", "did you mean '--optimizer'"});
}

TEST_F(Program, UnknownModelsAndShapesThatDoNotFit) {
  expect_refused({"--model", "lenet6"}, 2, {"lenet6", "did you mean 'lenet5'"});
  expect_refused({"--model", "mlp:2-4-2:than"}, 2, {"than", "did you mean 'tanh'"});
  expect_refused({"--model", "mlp:3-4-2"}, 3, {"[3]", "[2]"});
  expect_refused({"--model", "mlp:2-4-1"}, 3, {"has label 1", "0 to 0 as the model has 1 output"});
  const std::string conv = dir_.write(
      "net.toml",
      "input = [1, 8, 8]\n[[layer]]\ntype = \"conv2d\"\nout = 4\nkernel = 9\n[[layer]]\ntype = \"flatten\"\n");
  expect_refused({"--model", conv, "--data", "digits"}, 3, {"net.toml:2", "layer 0", "[1, 8, 8]"});
  const std::string key = dir_.write("key.toml", "input = [2]\n[[layer]]\ntype = \"linear\"\nouts = 4\n");
  expect_refused({"--model", key}, 3, {"key.toml:4", "outs", "did you mean 'out'"});
}

TEST_F(Program, UnknownTomlKeysComeWithASuggestion) {
  const std::string file = dir_.write("c.toml", "seed = 1\nopitmizer = \"sgd\"\n");
  expect_refused({"--config", file}, 3, {"c.toml:2", "unknown key 'opitmizer'", "did you mean 'optimizer'"});
  expect_refused({"--config", dir_.file("none.toml")}, 3, {"none.toml", "No such file"});
}

TEST_F(Program, BadDataFiles) {
  const auto refuse_csv = [&](const std::string& text, const std::vector<std::string>& parts) {
    expect_refused({"--data", dir_.write("bad.csv", text)}, 3, parts);
  };
  refuse_csv("1,2,0\n3,4\n", {"bad.csv: line 2"});
  refuse_csv("1,2,0\n3,word,1\n", {"bad.csv: line 2", "word"});
  refuse_csv("1,2,0\n3,nan,1\n4,5,1\n", {"bad.csv", "nan"});
  refuse_csv("1,2,0\n3,4,-1\n", {"bad.csv", "-1"});
  expect_refused({"--data", dir_.file("none.csv")}, 3, {"none.csv"});
  fs::create_directory(dir_.file("idx"));
  for (const char* part : {"train", "t10k"}) {
    dir_.write(std::string("idx/") + part + "-images-idx3-ubyte", std::string("\0\0\x08\x03\0\0", 6));
    dir_.write(std::string("idx/") + part + "-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\0\x02\x01\x02", 10));
  }
  expect_refused({"--data", dir_.file("idx")}, 3, {"train-images-idx3-ubyte"});
  dir_.write("idx/train-images-idx3-ubyte", std::string("PNG.............", 16));
  expect_refused({"--data", dir_.file("idx")}, 3, {"train-images-idx3-ubyte", "magic"});
}

TEST_F(Program, LabelsOutOfTheNetworksRange) {
  expect_refused({"--data", dir_.write("many.csv", "1,2,0\n3,4,1\n5,6,7\n2,1,0\n")}, 3,
                 {"line 3: field 3 has label 7", "0 to 1"});
}

TEST_F(Program, RunDirectoriesThatCannotBeWritten) {
  out_ = data_ + "/run";
  expect_refused({}, 3, {"run directory " + out_, "Not a directory"});
  out_ = "/proc/run";
  expect_refused({}, 3, {"run directory /proc/run"});
}

TEST_F(Program, DevicesThatAreNotThere) {
  expect_refused({"--device", "cuda:99"}, 6, {"cuda"});
  expect_refused({"--device", "tpu"}, 2, {"tpu", "auto, cpu, cuda"});
}

TEST_F(Program, ADenseHessianThatDoesNotFit) {
  expect_refused({"--optimizer", "hso", "--model", "mlp:2-400000-2"}, 4,
                 {"n = 2000002 needs", "are free", "would fit"});
}

TEST_F(Program, ANumericalFailureExitsWith5AndKeepsTheRun) {
  const ProgramResult r = train({"--optimizer", "hso", "--precision", "float64", "--set", "sign=raw", "--set",
                                 "delta=0", "--set", "eps_scale=0", "--set", "adaptive=false"});
  EXPECT_EQ(r.exit_code, 5);
  EXPECT_TRUE(contains(r.err, "training stopped at step 5: singular", "delta"));
  EXPECT_TRUE(fs::exists(out_ + "/model.safetensors"));
}

TEST_F(Program, SignalsStopAfterACheckpoint) {
  for (const int signal : {SIGINT, SIGTERM}) {
    out_ = dir_.file("run-" + std::to_string(signal));
    // The handlers stand before the first line is written.
    std::jthread raiser([signal, metrics = out_ + "/metrics.jsonl"](const std::stop_token& stop) {
      while (!fs::exists(metrics) && !stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (!stop.stop_requested()) kill(getpid(), signal);
    });
    const ProgramResult r =
        train({"--optimizer", "sgd", "--epochs", "100000000", "--evaluate-every", "1000000000", "--rate", "1e-6"});
    EXPECT_EQ(r.exit_code, 128 + signal) << r.err;
    EXPECT_FALSE(fs::is_empty(out_ + "/checkpoints"));
    EXPECT_EQ(run_program({"eval", "--checkpoint", out_}).exit_code, 0);
  }
}

TEST_F(Program, EvalOfWhatIsNoRun) {
  ProgramResult r = run_program({"eval", "--checkpoint", dir_.path().string()});
  EXPECT_EQ(r.exit_code, 3);
  EXPECT_TRUE(contains(r.err, "found no config.toml"));
  EXPECT_EQ(run_program({"eval", "--checkpoint", dir_.file("none")}).exit_code, 3);
  EXPECT_EQ(run_program({"eval"}).exit_code, 2);
}

TEST_F(Program, InfoTellsVersionAndDevices) {
  const ProgramResult text = run_program({"info"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_TRUE(contains(text.out, HSOGPU_VERSION, "cpu:", "OpenBLAS", "core type", "hso"));
  const auto json = nlohmann::json::parse(run_program({"info", "--json"}).out);
  EXPECT_EQ(json["version"], HSOGPU_VERSION);
  EXPECT_GE(json["devices"].size(), 1u);
}

TEST_F(Program, ComparesWithAnotherMethodInTheSameTime) {
  const std::string run = dir_.file("against");
  const ProgramResult r = run_program({"train", "--optimizer", "hso.kfac", "--steps", "60", "--patience", "4",
                                       "--against", "sgd", "--device", "cpu", "--out", run});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_TRUE(contains(r.err, "hso.kfac against sgd", "stopped by: patience", "hso spectrum --checkpoint " + run));
  EXPECT_EQ(run_program({"train", "--against", "sdg", "--out", dir_.file("none")}).exit_code, 2);
  EXPECT_EQ(run_program({"train", "--against", "sgd", "--quiet", "--out", dir_.file("none")}).exit_code, 2);
  EXPECT_EQ(run_program({"train", "--compare", "sgd", "--against", "sgd", "--out", dir_.file("none")}).exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(dir_.file("none")));
}

TEST_F(Program, SwitchesCanBeTurnedOff) {
  const Variable variable("HSO_DETERMINISTIC", "1");
  const ProgramResult r = train({"--optimizer", "sgd", "--epochs", "1", "--deterministic=false"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(read_text(out_ + "/config.toml"), "deterministic = false"));
}

TEST_F(Program, AComparisonDoesNotReplaceTheRunThatItReads) {
  ASSERT_EQ(train({"--optimizer", "sgd", "--epochs", "1"}).exit_code, 0);
  const std::vector<std::vector<std::string>> commands{
      {"prune", "--checkpoint", out_, "--compare", "magnitude,obd", "--out", out_, "--overwrite"},
      {"train", "--start", out_, "--compare", "sgd", "--out", out_, "--overwrite"},
      {"train", "--start", out_, "--optimizer", "sgd", "--out", out_, "--overwrite"}};
  for (const std::vector<std::string>& command : commands) {
    const ProgramResult r = run_program(command);
    EXPECT_EQ(r.exit_code, 2) << command[0];
    EXPECT_TRUE(contains(r.err, out_, "would be overwritten")) << command[0];
    EXPECT_EQ(run_program({"eval", "--checkpoint", out_}).exit_code, 0) << command[0];
  }
}

TEST_F(Program, BadCommandLinesExitWith2) {
  EXPECT_EQ(run_program({}).exit_code, 2);
  const ProgramResult r = run_program({"trian"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_TRUE(contains(r.err, "did you mean 'train'"));
  EXPECT_EQ(run_program({"--version"}).exit_code, 0);
}

/// Libraries that are opened while a command runs take stdout for their own, and flush it at the end of the process.
TEST(Streams, StayForThoseWhoTookThem) {
  FILE* taken = nullptr;
  {
    cli::Streams streams;
    taken = stdout;
  }
  EXPECT_NE(taken, stdout);
  EXPECT_EQ(std::fflush(taken), 0);
  EXPECT_GE(std::fputs("\n", taken), 0);
  EXPECT_EQ(std::fflush(taken), 0);
}

}  // namespace
}  // namespace hso
