// SPDX-License-Identifier: Apache-2.0
//
// Every number on the command line has a range, and who leaves it is told the flag, the value and the range before
// anything is read.
#include <gtest/gtest.h>

#include "support/messages.hpp"
#include "support/program.hpp"

namespace hso {
namespace {

using test::contains;
using test::run_program;
using Words = std::vector<std::string>;

struct Command {
  Words words;                                     ///< with what it requires; no file of these names is there
  std::vector<std::pair<std::string, int>> whole;  ///< and the least that is in range
  Words from_zero, above_zero;                     ///< of real numbers
};

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
      {{"train"},
       {{"--compare-seeds", 1},
        {"--compare-rates", 1},
        {"--batch", 0},
        {"--curvature-batch", 0},
        {"--device-batch", 0},
        {"--epochs", 0},
        {"--steps", 0},
        {"--max-trials", 0},
        {"--seed", 0},
        {"--evaluate-every", 0},
        {"--checkpoint-every", 0},
        {"--spectrum-every", 0}},
       {"--target-loss", "--target-accuracy", "--max-seconds", "--max-processor-seconds", "--max-gradients",
        "--weight-decay", "--l1", "--test-fraction"},
       {}},
      {{"spectrum"},
       {{"--k", 1},
        {"--block", 1},
        {"--max-products", 1},
        {"--probes", 2},
        {"--probe-steps", 2},
        {"--max-probe-steps", 1},
        {"--draws", 1},
        {"--diagonal-probes", 2},
        {"--secant-count", 1},
        {"--seed", 0}},
       {"--tolerance", "--weight-decay"},
       {"--secant-rate"}},
      {{"hessian", "--out", "h.npy"}, {{"--lanes", 1}, {"--draws", 1}}, {"--weight-decay"}, {"--secant-rate"}},
      {{"solve", "--vector", "v.npy", "--out", "x.npy"},
       {{"--max-products", 1}, {"--draws", 1}},
       {"--damping", "--eps"},
       {"--tolerance", "--secant-rate"}},
      {{"prune", "--checkpoint", "no-run"},
       {{"--keep", 1},
        {"--keep-each", 0},
        {"--block", 0},
        {"--rank", 0},
        {"--samples", 1},
        {"--rows", 0},
        {"--device-batch", 0},
        {"--points", 0},
        {"--time", 0},
        {"--finetune", 0},
        {"--finetune-steps", 0},
        {"--batch", 0},
        {"--curvature-batch", 0},
        {"--seed", 0}},
       {"--damping", "--weight-decay", "--l1", "--sparsity", "--multiply-adds"},
       {}},
      {{"check"}, {{"--rows", 0}, {"--directions", 1}}, {"--weight-decay"}, {}}};
  return all;
}

void expect_refused(Words words, const std::string& flag, const std::string& value) {
  words.push_back(flag + "=" + value);
  const auto r = run_program(words);
  EXPECT_EQ(r.exit_code, 2) << words[0] << ' ' << flag << ' ' << value << ": " << r.err;
  EXPECT_TRUE(contains(r.err, flag, value, "expected")) << words[0];
}

TEST(RangesOfFlags, WholeNumbers) {
  for (const Command& c : commands())
    for (const auto& [flag, least] : c.whole)
      for (const std::string& value : {std::to_string(least - 1), std::string("99999999999999999999"),
                                       std::string("1.5"), std::string("nan"), std::string("many")})
        expect_refused(c.words, flag, value);
}

TEST(RangesOfFlags, RealNumbers) {
  for (const Command& c : commands()) {
    for (const Words& flags : {c.from_zero, c.above_zero})
      for (const std::string& flag : flags)
        for (const char* value : {"-1", "nan", "inf", "much"}) expect_refused(c.words, flag, value);
    for (const std::string& flag : c.above_zero) expect_refused(c.words, flag, "0");
  }
  for (const char* flag : {"--sparsity", "--multiply-adds"})
    for (const char* value : {"1", "2"}) expect_refused({"prune", "--checkpoint", "no-run"}, flag, value);
  expect_refused({"train"}, "--test-fraction", "1");
  expect_refused({"train"}, "--target-accuracy", "95");
  for (const char* value : {"nan", "inf", "much"}) {
    expect_refused({"spectrum"}, "--near", value);
    expect_refused({"spectrum"}, "--log-det", value);
  }
}

TEST(RangesOfFlags, NumbersInWords) {
  for (const char* value : {"4:2", "0:4", "2:2", "2:", "a:4"})
    expect_refused({"prune", "--checkpoint", "no-run"}, "--structured", value);
  for (const char* value : {"steps:0", "steps:-1", "seconds:nan", "gradients:", "hours:1"})
    expect_refused({"train", "--compare", "sgd", "--out", "never"}, "--compare-budget", value);
  for (const char* value : {"count:0", "count:x", "threshold:-1", "mass:1", "nearly"})
    expect_refused({"prune", "--checkpoint", "no-run", "--score", "hsp"}, "--flat", value);
  for (const char* value : {"iterative:0", "gradual:x", "twice"})
    expect_refused({"prune", "--checkpoint", "no-run"}, "--schedule", value);
}

}  // namespace
}  // namespace hso
