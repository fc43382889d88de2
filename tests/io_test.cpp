// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/data/io.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "io/file.hpp"
#include "io/suggest.hpp"
#include "support/messages.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::message_of;
using test::starts_with;
using test::TempDir;

using Numbers = std::vector<double>;

TEST(AtomicWriter, ReplacesAndLeavesNothingBehind) {
  const TempDir dir;
  write_text_atomically(dir.file("a.txt"), "first");
  ::chmod(dir.file("a.txt").c_str(), 0640);
  const std::string zeros("se\0cond", 7);
  write_text_atomically(dir.file("a.txt"), zeros);
  EXPECT_EQ(read_text(dir.file("a.txt")), zeros);
  EXPECT_EQ(fs::status(dir.file("a.txt")).permissions(), fs::perms(0640));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), {}), 1);
}

TEST(AtomicWriter, WithoutCommitTheOldFileStays) {
  const TempDir dir;
  dir.write("a.txt", "old");
  {
    AtomicFile file(dir.file("a.txt"));
    file.write("new");
    EXPECT_EQ(read_text(dir.file("a.txt")), "old");
  }
  EXPECT_EQ(read_text(dir.file("a.txt")), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), {}), 1);
}

TEST(AtomicWriter, LeftOversGoWhenTheOutputIsAskedFor) {
  const TempDir dir;
  const std::string of_nobody = dir.write("a.txt.tmp-999999999-0", "half"),
                    of_another = dir.write("b.txt.tmp-999999999-0", "");
  const std::string living = dir.write(fmt::format("a.txt.tmp-{}-77", ::getpid()), "half");
  write_text_atomically(dir.file("a.txt"), "whole");
  EXPECT_TRUE(fs::exists(of_nobody)) << "writing looks at no other file";
  require_writable_file(dir.file("a.txt"));
  EXPECT_FALSE(fs::exists(of_nobody));
  EXPECT_TRUE(fs::exists(living));
  EXPECT_TRUE(fs::exists(of_another));
  EXPECT_EQ(read_text(dir.file("a.txt")), "whole");
}

TEST(AtomicWriter, FollowsLinks) {
  const TempDir dir;
  dir.write("real.txt", "old");
  fs::create_symlink("real.txt", dir.file("link.txt"));
  write_text_atomically(dir.file("link.txt"), "new");
  EXPECT_TRUE(fs::is_symlink(dir.file("link.txt")));
  EXPECT_EQ(read_text(dir.file("real.txt")), "new");
}

TEST(AtomicWriter, NamesTheFolderThatCannotBeWritten) {
  const TempDir dir;
  EXPECT_TRUE(starts_with(message_of<InputError>([&] { write_text_atomically(dir.file("no/a.txt"), "x"); }),
                          dir.file("no/a.txt"), "in the folder " + dir.file("no") + ": No such file"));
  EXPECT_TRUE(
      contains(message_of<InputError>([&] { write_text_atomically(dir.path().string(), "x"); }), "found a folder"));
  // Not a permission test: the superuser may write anywhere, but nobody creates files in /proc.
  EXPECT_TRUE(
      contains(message_of<InputError>([] { write_text_atomically("/proc/a.txt", "x"); }), "in the folder /proc"));
}

TEST(AtomicWriter, AFullDiskIsAMemoryError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full on this system";
  EXPECT_TRUE(starts_with(message_of<MemoryError>([] { write_text_atomically("/dev/full", "x"); }),
                          "/dev/full: ", "No space left"));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

/// Files of this process may not grow beyond `bytes` while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(AtomicWriter, AFailureInTheMiddleLeavesTheOldFile) {
  const TempDir dir;
  dir.write("a.npy", "old");
  const std::vector<double> values(10'000, 1.0);
  std::string message;
  {
    const FileSizeLimit limit(20'000);
    message = message_of<MemoryError>([&] { write_npy<double>(dir.file("a.npy"), Shape{10'000}, values); });
  }
  EXPECT_TRUE(starts_with(message, dir.file("a.npy") + ": ", "File too large"));
  EXPECT_EQ(read_text(dir.file("a.npy")), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), {}), 1);
}

TEST(Suggest, NearestWordWithinReach) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("sdg", "sgd"), 1u);
  EXPECT_EQ(edit_distance("ca", "abc"), 3u) << "no edits between the letters of a swap";
  EXPECT_EQ(did_you_mean("digts", {"fashion-mnist", "digits"}), " (did you mean 'digits'?)");
  EXPECT_EQ(did_you_mean("elephant", {"fashion-mnist", "digits"}), "");
  EXPECT_EQ(did_you_mean("mse", {"cross_entropy", "bce"}), "") << "two letters of three differ";
  EXPECT_EQ(did_you_mean("--rhs", {"--eps"}), "") << "the dashes are no letters";
  EXPECT_EQ(did_you_mean("sgb", {"sgd"}), " (did you mean 'sgd'?)");
  EXPECT_EQ(did_you_mean("sdg", {"adam", "sgd"}), " (did you mean 'sgd'?)");
}

}  // namespace
}  // namespace hso
