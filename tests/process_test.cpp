// SPDX-License-Identifier: Apache-2.0
//
// What the program leaves behind when streams, signals, limits and other processes get in its way.
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "hsogpu/data/io.hpp"
#include "hsogpu/graph/model.hpp"
#include "support/child.hpp"
#include "support/json_lines.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_data.hpp"
#include "support/training_runs.hpp"
#include "train/checkpoint_files.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using test::Child;
using test::contains;
using test::eventually;
using test::run_program;

class Process : public testing::Test {
 protected:
  using Words = std::vector<std::string>;
  Words training(const Words& more = {}) const {
    Words out{"train", "--device", "cpu", "--data", data_, "--model", "mlp:2-4-2:tanh", "--out", run_};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  /// It writes a checkpoint every step and does not end by itself.
  Words endless() const {
    return training({"--optimizer", "sgd", "--epochs", "100000000", "--rate", "1e-9", "--checkpoint-every", "100000",
                     "--evaluate-every", "100000"});
  }
  void train_once() {
    ASSERT_EQ(run_program(training({"--optimizer", "sgd", "--epochs", "1", "--quiet"})).exit_code, 0);
  }
  bool started() const { return fs::exists(run_ + "/metrics.jsonl"); }

  test::TempDir dir_;
  std::string data_ = test::write_tiny_data(dir_);
  std::string run_ = dir_.file("run");
};

TEST_F(Process, SavesTheTrainingWhereStandardErrorIsFullOrClosed) {
  for (const char* streams : {"2>/dev/full", "2>&-", ">&- 2>&-", "</dev/null >&- 2>&- <&-"}) {
    Child child(training({"--optimizer", "sgd", "--epochs", "2", "--overwrite"}),
                std::string(R"(exec "$@" )") + streams);
    EXPECT_EQ(child.wait(), 7) << streams;
    EXPECT_EQ(run_program({"eval", "--checkpoint", run_}).exit_code, 0) << streams;
    EXPECT_EQ(read_text(run_ + "/metrics.jsonl")[0], '{') << streams << ": what is printed went to a file";
  }
  Child quiet(training({"--optimizer", "sgd", "--epochs", "2", "--overwrite", "--quiet"}), R"(exec "$@" 2>&-)");
  EXPECT_EQ(quiet.wait(), 0) << "nothing was to be printed";
}

TEST_F(Process, EveryCommandSaysThatStandardOutputIsFull) {
  train_once();
  const std::vector<Words> commands{
      {"info"},
      {"--help"},
      {"eval", "--checkpoint", run_},
      {"gradient", "--checkpoint", run_, "--out", dir_.file("g.npy")},
      {"hessian", "--checkpoint", run_, "--out", dir_.file("h.npy")},
      {"spectrum", "--checkpoint", run_, "--json"},
      {"check", "--checkpoint", run_, "--json"},
      {"prune", "--checkpoint", run_, "--score", "magnitude", "--json", "--out", dir_.file("pruned")}};
  for (const Words& words : commands) {
    Child child(words, "exec \"$@\" >/dev/full 2>" + dir_.file("err"));
    EXPECT_EQ(child.wait(), 7) << words[0];
    EXPECT_TRUE(contains(read_text(dir_.file("err")), "standard output", "No space left")) << words[0];
  }
  EXPECT_TRUE(fs::exists(dir_.file("g.npy")) && fs::exists(dir_.file("pruned/prune.json")));
}

TEST_F(Process, ASecondTrainingIntoOneFolderIsRefusedAndHarmsNothing) {
  Child first(endless());
  ASSERT_TRUE(eventually([&] { return started(); }));
  const auto second = run_program(training({"--optimizer", "sgd", "--epochs", "1", "--overwrite"}));
  EXPECT_EQ(second.exit_code, 3);
  EXPECT_TRUE(contains(second.err, run_, "another process is writing to it"));
  first.signal(SIGTERM);
  EXPECT_EQ(first.wait(), 128 + SIGTERM);
  EXPECT_EQ(run_program({"eval", "--checkpoint", run_}).exit_code, 0);
}

TEST_F(Process, AKilledTrainingLocksNothing) {
  {
    Child child(endless());
    ASSERT_TRUE(eventually([&] { return started(); }));
    child.signal(SIGKILL);
    EXPECT_EQ(child.wait(), 128 + SIGKILL);
  }
  EXPECT_TRUE(fs::exists(run_ + "/.hso-lock")) << "nobody could remove it";
  const Words again = training({"--optimizer", "sgd", "--epochs", "1"});
  EXPECT_TRUE(contains(run_program(again).err, "holds a run", "--overwrite"));
  fs::remove(run_ + "/env.json");  // as if it had been killed a moment earlier
  EXPECT_EQ(run_program(again).exit_code, 0);
  EXPECT_FALSE(fs::exists(run_ + "/.hso-lock"));
}

TEST_F(Process, SignalsEndATrainingWithACheckpoint) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    run_ = dir_.file("run-" + std::to_string(signal));
    Child child(endless());
    ASSERT_TRUE(eventually([&] { return started(); }));
    child.signal(signal);
    EXPECT_EQ(child.wait(5), 128 + signal);
    EXPECT_FALSE(fs::is_empty(run_ + "/checkpoints"));
    EXPECT_EQ(run_program({"eval", "--checkpoint", run_}).exit_code, 0);
  }
}

TEST_F(Process, ATrainingThatASignalEndedGoesOnToTheBit) {
  Child child(endless());
  ASSERT_TRUE(eventually([&] { return started(); }));
  child.signal(SIGTERM);
  ASSERT_EQ(child.wait(5), 128 + SIGTERM);
  const Index stopped = checkpoint_steps(run_).back();
  const std::string cut = run_, steps = std::to_string(stopped + 7);
  ASSERT_EQ(run_program({"train", "--resume", cut, "--quiet", "--steps", steps}).exit_code, 0);
  run_ = dir_.file("whole");
  std::vector<std::string> words = endless();
  *(std::find(words.begin(), words.end(), "--epochs")) = "--steps";
  *(std::find(words.begin(), words.end(), "100000000")) = steps;
  ASSERT_EQ(run_program(words).exit_code, 0);
  test::expect_same_run(run_, cut);
}

TEST_F(Process, AStepOfExactCurvatureIsLeftInItsMiddle) {
  const Words words{"train",   "--device", "cpu",   "--model", "mlp:64-60-10:tanh", "--optimizer", "hso",
                    "--steps", "1000",     "--out", run_};  // n = 4,510: seconds for its matrix
  Child child(words);
  ASSERT_TRUE(eventually([&] { return started(); }));
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(10), 128 + SIGTERM);
  EXPECT_EQ(run_program({"eval", "--checkpoint", run_}).exit_code, 0);
}

/// A second thread waits for signals while the eigendecomposition runs, and at no other time.
TEST_F(Process, AnEigendecompositionIsLeftWithTheParametersBeforeIt) {
  Child child({"train", "--device", "cpu", "--model", "mlp:64-40-10:tanh", "--optimizer", "hso", "--steps", "1000",
               "--json", "--out", run_},  // n = 3,010: seconds on one thread
              "exec \"$@\" >" + dir_.file("out"));
  ASSERT_TRUE(eventually([&] { return child.threads() == 2; }));
  child.signal(SIGINT);
  EXPECT_EQ(child.wait(), 128 + SIGINT);
  EXPECT_EQ(test::read_lines(run_ + "/metrics.jsonl").size(), 1u) << "the step was waited for";
  const auto parameters = build_network<double>(parse_model("mlp:64-40-10:tanh"), LossKind::cross_entropy).parameters;
  const auto start = initial_parameters(parameters, Initialization::glorot, 0);
  const std::vector<float> narrowed(start.begin(), start.end());
  EXPECT_EQ(read_npy(run_ + "/theta.npy").values, std::vector<double>(narrowed.begin(), narrowed.end()));
  EXPECT_TRUE(fs::exists(run_ + "/checkpoints/step_0/model.safetensors"));
  EXPECT_FALSE(fs::exists(run_ + "/.hso-lock"));
  const auto json = nlohmann::json::parse(read_text(dir_.file("out")));
  EXPECT_EQ(json["stop_reason"], "interrupted");
  EXPECT_EQ(run_program({"eval", "--checkpoint", run_}).exit_code, 0);
}

/// Two comparisons, and a training, into one folder: the first that begins has it.
TEST_F(Process, AComparisonHoldsItsFolderFromTheStart) {
  train_once();
  const std::string folder = dir_.file("comparison");
  const auto commands = [&](const std::string& steps) {
    return std::vector<Words>{
        {"train", "--device", "cpu", "--data", data_, "--model", "mlp:2-4-2:tanh", "--compare", "sgd",
         "--compare-budget", "steps:" + steps, "--evaluate-every", "1000000", "--out", folder, "--overwrite"},
        {"prune", "--device", "cpu", "--checkpoint", run_, "--compare", "magnitude", "--finetune-steps", steps,
         "--optimizer", "sgd", "--out", folder, "--overwrite"}};
  };
  for (const Words& words : commands("1000000000")) {
    fs::copy(run_, folder, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    const std::string err = dir_.file("err");
    fs::remove(err);
    Child first(words, "exec \"$@\" 2>" + err);
    ASSERT_TRUE(eventually([&] { return fs::exists(err) && contains(read_text(err), "data "); }));
    for (const Words& second : commands("1")) {
      const auto refused = run_program(second);
      EXPECT_EQ(refused.exit_code, 3) << second[0];
      EXPECT_TRUE(contains(refused.err, folder, "another process is writing to it")) << second[0];
    }
    first.signal(SIGKILL);
    EXPECT_EQ(first.wait(), 128 + SIGKILL);
    EXPECT_EQ(run_program({"eval", "--checkpoint", folder}).exit_code, 0) << "the run that was there is whole";
  }
}

TEST_F(Process, SpectraEndBySignalsWithWhatIsKnown) {
  const Words base{"spectrum", "--device", "cpu", "--model", "mlp:64-100-10:tanh", "--data", "digits", "--json"};
  const std::string out = dir_.file("out"), err = dir_.file("err");
  for (const Words& method : {Words{"slq", "--probes", "100000"}, Words{"trace", "--probes", "7000"}, Words{"dense"},
                              Words{"lanczos", "--k", "2000"}}) {
    Words words = base;
    words.push_back("--method");
    words.insert(words.end(), method.begin(), method.end());
    fs::remove(err);
    Child child(words, "exec \"$@\" >" + out + " 2>" + err);
    // The plan is the last line before the work begins.
    ASSERT_TRUE(eventually([&] { return fs::exists(err) && read_text(err).find("plan:") != std::string::npos; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    child.signal(SIGTERM);
    EXPECT_EQ(child.wait(10), 128 + SIGTERM) << method[0];
    const auto json = nlohmann::json::parse(read_text(out));
    EXPECT_EQ(json["stop"], "interrupted") << method[0];
    if (method[0] == "trace" || method[0] == "slq") {
      EXPECT_GT(json["trace"]["probes"].get<int>(), 1) << method[0];
    }
  }
}

TEST_F(Process, ALimitOfTheFileSizeIsAFullDisk) {
  Child child(
      {"hessian", "--model", "mlp:64-16-10", "--data", "digits", "--device", "cpu", "--out", dir_.file("h.npy")},
      "ulimit -f 64; exec \"$@\" 2>" + dir_.file("err"));
  EXPECT_EQ(child.wait(), 4);
  EXPECT_TRUE(contains(read_text(dir_.file("err")), "h.npy", "File too large"));
  EXPECT_FALSE(fs::exists(dir_.file("h.npy")));
}

TEST_F(Process, MoreThreadsThanThereCanBe) {
  Child child(training({"--optimizer", "sgd", "--epochs", "1"}), R"(OMP_NUM_THREADS=100000 exec "$@")");
  EXPECT_EQ(child.wait(), 0);
}

#if defined(__x86_64__)
TEST_F(Process, AProcessorThatOpenBlasDoesNotKnowIsNotServedAsAnOldOne) {
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "the processor has no AVX2";
  const auto core_type = [&](const std::string& environment) {
    Child child({"info", "--json"}, environment + R"( exec "$@" >)" + dir_.file("info.json"));
    EXPECT_EQ(child.wait(), 0);
    return nlohmann::json::parse(read_text(dir_.file("info.json"))).at("core_type").get<std::string>();
  };
  EXPECT_NE(core_type("unset OPENBLAS_CORETYPE;"), "Prescott");
  EXPECT_EQ(core_type("export OPENBLAS_CORETYPE=Prescott;"), "Prescott") << "what the user sets holds";
}
#endif

}  // namespace
}  // namespace hso
