// SPDX-License-Identifier: Apache-2.0
//
// What is on the disk when a checkpoint could not be written to its end: the process is killed, or the disk refuses, at
// every call by which files are written.
#include "train/checkpoint_files.hpp"

#include <gtest/gtest.h>

#include <omp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "hsogpu/core/error.hpp"
#include "io/file_calls.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"
#include "support/training_runs.hpp"

namespace hso::test {
namespace {

namespace fs = std::filesystem;

/// While it lives, call number `at` of those that write files does what it is told, and `calls` counts them.
class At {
 public:
  At(int at, void (*what)()) {
    calls_ = 0, at_ = at, what_ = what;
    auto& calls = detail::file_calls();
    before_ = calls;
    calls.write = [](int fd, const void* bytes, std::size_t n) {
      return due() ? ssize_t{-1} : before_.write(fd, bytes, n);
    };
    calls.fsync = [](int fd) { return due() ? -1 : before_.fsync(fd); };
    calls.rename = [](const char* from, const char* to) { return due() ? -1 : before_.rename(from, to); };
    calls.mkdir = [](const char* path, mode_t mode) { return due() ? -1 : before_.mkdir(path, mode); };
  }
  ~At() { detail::file_calls() = before_; }
  static int calls() { return calls_; }

 private:
  static bool due() {
    if (++calls_ != at_) return false;
    what_();
    return true;
  }
  inline static detail::FileCalls before_;
  inline static int calls_ = 0, at_ = 0;
  inline static void (*what_)() = nullptr;
};

class Checkpoints : public testing::Test {
 protected:
  Checkpoints() { omp_set_num_threads(1); }  // a child that was forked has no other threads

  /// Six steps, a checkpoint at every second one of which two stay.
  TrainOptions options() const {
    TrainOptions o = tiny_options(dir_, "adam");
    o.batch = 20;
    o.epochs = 2;
    o.checkpoint_every = 2;
    o.keep_last = 2;
    return o;
  }
  /// Goes on with what is there, or begins where nothing is.
  void go_on(const std::string& run) const {
    TrainOptions o = in_folder(options(), run);
    fs::exists(run + "/config.toml") ? o.resume = true : o.overwrite = true;
    train(o);
  }
  static std::set<std::string> names_in(const std::string& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
    return names;
  }
  static void expect_whole(const std::string& run) {
    for (const Index step : checkpoint_steps(run)) {
      const std::string folder = checkpoint_folder(run, step);
      EXPECT_NO_THROW(verify_checkpoint(folder, read_checkpoint_info(folder))) << folder;
    }
  }
  std::string folder(const std::string& name) const { return dir_.file(name); }

  const WithoutFlushes quick_;
  TempDir dir_;
};

TEST_F(Checkpoints, HoldWhatTheyAreSaidTo) {
  train(in_folder(options(), folder("run")));
  EXPECT_EQ(names_in(folder("run/checkpoints")), (std::set<std::string>{"step_4", "step_6"}));
  const std::string last = checkpoint_folder(folder("run"), 6);
  EXPECT_EQ(names_in(last), (std::set<std::string>{"checkpoint.json", "model.safetensors", "state.safetensors"}));
  expect_whole(folder("run"));
  const SafeTensors state = read_safetensors(last + "/state.safetensors");
  EXPECT_EQ(state.tensors.at("step").values, std::vector<double>{6});
  EXPECT_EQ(state.tensors.at("accepted").values, std::vector<double>{6});
  EXPECT_EQ(state.tensors.at("optimizer.mean").shape, Shape{22});
  EXPECT_EQ(state.metadata.at("optimizer"), "adam");
}

TEST_F(Checkpoints, KeepTheNewestTheMultiplesAndTheBest) {
  TrainOptions o = options();
  o.optimizer_settings["rate"] = "3";  // the best point is an early one
  o.checkpoint_every = 1;
  o.evaluate_every = 1;
  o.epochs = 4;
  o.keep_last = 0;
  const TrainResult all = train(in_folder(o, folder("all")));
  EXPECT_EQ(checkpoint_steps(folder("all")).size(), 12u);
  Index best = 1;
  for (const TrainRecord& r : all.history)
    if (r.step > 0 && r.test.loss < all.history[static_cast<std::size_t>(best)].test.loss) best = r.step;
  o.keep_last = 2;
  o.keep_every = 5;
  o.keep_best = true;
  train(in_folder(o, folder("some")));
  const std::set<Index> expected{best, 5, 10, 11, 12};
  const std::vector<Index> kept = checkpoint_steps(folder("some"));
  EXPECT_EQ(std::set<Index>(kept.begin(), kept.end()), expected);
}

TEST_F(Checkpoints, AProcessKilledAtAnyCallGoesOnToTheBit) {
  train(in_folder(options(), folder("whole")));
  int killed = 0;
  for (int at = 1;; ++at) {
    const std::string run = folder("cut-" + std::to_string(at));
    const pid_t child = ::fork();
    if (child == 0) {
      const At dies(at, [] { ::_exit(9); });
      train(in_folder(options(), run));
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << at;
    if (WEXITSTATUS(status) == 0) break;
    ASSERT_EQ(WEXITSTATUS(status), 9) << at;
    ++killed;
    expect_whole(run);
    go_on(run);
    expect_same_run(folder("whole"), run);
    for (const std::string& name : names_in(run + "/checkpoints")) EXPECT_FALSE(name.ends_with(".tmp")) << name;
    fs::remove_all(run);
  }
  EXPECT_GT(killed, 30);
}

/// Errors of the disk end the training with their reason and the file; what was saved before is whole.
TEST_F(Checkpoints, ADiskThatRefusesIsNamedAndLeavesTheOlderOnes) {
  train(in_folder(options(), folder("whole")));
  static int error = 0;
  int refused = 0;
  for (int at = 1;; ++at) {
    error = std::array{ENOSPC, EROFS, EIO}[static_cast<std::size_t>(at % 3)];
    const std::string run = folder("cut");
    fs::remove_all(run);
    std::string message;
    try {
      const At fails(at, [] { errno = error; });
      train(in_folder(options(), run));
      if (At::calls() < at) break;
    } catch (const MemoryError& e) {
      EXPECT_EQ(error, ENOSPC) << e.what();
      message = e.what();
    } catch (const InputError& e) {
      EXPECT_NE(error, ENOSPC) << e.what();
      message = e.what();
    }
    if (!fs::exists(run)) continue;  // before there was a run
    if (!message.empty()) {
      EXPECT_TRUE(contains(message, run, std::strerror(error))) << at;
      ++refused;
    }
    expect_whole(run);
    go_on(run);
    expect_same_run(folder("whole"), run);
  }
  EXPECT_GT(refused, 15);
}

TEST_F(Checkpoints, OfADamagedOneAnOlderOneIsTaken) {
  train(in_folder(options(), folder("whole")));
  TrainOptions o = in_folder(options(), folder("cut"));
  train_until(o, 5);  // checkpoints at 4 and 5
  const std::string path = checkpoint_folder(folder("cut"), 5) + "/state.safetensors";
  std::string bytes = read_text(path);
  bytes[bytes.size() / 2] ^= 1;
  write_text_atomically(path, bytes);
  dir_.write("cut/checkpoints/notes.txt", "mine");
  fs::create_directory(folder("cut/checkpoints/step_9.tmp"));
  fs::create_directory(folder("cut/checkpoints/other.tmp"));
  std::string notes;
  TrainHooks hooks;
  hooks.on_note = [&](const std::string& text) { notes += text + "\n"; };
  train(resumed(o), hooks);
  EXPECT_TRUE(contains(notes, path, "damaged", "an older checkpoint is looked for", "goes on at step 4"));
  expect_same_run(folder("whole"), folder("cut"));
  expect_whole(folder("cut"));
  const std::set<std::string> names = names_in(folder("cut/checkpoints"));
  EXPECT_TRUE(names.contains("notes.txt") && names.contains("other.tmp")) << "nothing of somebody else";
  EXPECT_FALSE(names.contains("step_9.tmp"));
}

TEST_F(Checkpoints, OnesOfAnotherFormatOrModelAreRefused) {
  const TrainOptions o = in_folder(options(), folder("run"));
  train(o);
  const std::string last = checkpoint_folder(folder("run"), 6), marker = last + "/checkpoint.json";
  const auto message = [&] { return message_of<InputError>([&] { train(resumed(o)); }); };
  std::string text = read_text(marker);
  write_text_atomically(marker, std::string(text).replace(text.find("\"format\": 1"), 11, "\"format\": 7"));
  EXPECT_TRUE(contains(message(), last, "a checkpoint of format 7", "expected format 1"));
  write_text_atomically(marker, text);
  TrainOptions other = in_folder(options(), folder("other"));
  other.model = "mlp:2-5-2:tanh";
  train(other);
  fs::remove_all(last);
  fs::copy(checkpoint_folder(folder("other"), 6), last);
  EXPECT_TRUE(contains(message(), last, "tensor", "has shape [5, 2], expected [4, 2]"));
  for (const Index step : checkpoint_steps(folder("run")))
    fs::resize_file(checkpoint_folder(folder("run"), step) + "/model.safetensors", 10);
  EXPECT_TRUE(contains(message(), "no checkpoint is whole", "damaged"));
}

}  // namespace
}  // namespace hso::test
