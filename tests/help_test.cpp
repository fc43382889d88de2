// SPDX-License-Identifier: Apache-2.0
//
// What the program says of itself: help screens, lists, shell completion and manual pages, all from one table.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/commands.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/graph/model.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "hsogpu/prune/removal.hpp"
#include "io/text_parts.hpp"
#include "support/messages.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace hso {
namespace {

using test::contains;
using test::ProgramResult;
using test::run_program;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

/// The table of the program.
struct Table {
  Table() { cli::add_commands(line); }
  cli::CommandLine line{"hso", "0", "test"};
};

std::string printed(const std::vector<std::string>& arguments) {
  const ProgramResult r = run_program(arguments);
  EXPECT_EQ(r.exit_code, 0) << arguments[0] << ": " << r.err;
  return r.out;
}

TEST(Help, TheFirstScreenFitsATerminal) {
  const std::vector<std::string> lines = lines_of(printed({"--help"}));
  EXPECT_LE(lines.size(), 32u);
  for (const std::string& line : lines) EXPECT_LE(line.size(), 100u) << line;
}

TEST(Help, EveryOptionIsListedOnceUnderAHeading) {
  const Table table;
  for (const cli::Command& command : table.line.commands()) {
    const std::vector<std::string> lines = lines_of(printed({command.name(), "--help"}));
    for (const std::string& line : lines) EXPECT_LE(line.size(), 100u) << line;
    for (const cli::Option& option : command.options()) {
      EXPECT_FALSE(option.help().empty()) << option.flag();
      const std::string start = "  " + option.flag();
      const auto names_it = [&](const std::string& line) {
        return line.rfind(start, 0) == 0 && (line.size() == start.size() || line[start.size()] == ' ');
      };
      EXPECT_EQ(std::count_if(lines.begin(), lines.end(), names_it), 1) << command.name() << ' ' << option.flag();
    }
  }
}

TEST(Help, OptimizersAndWrappersWithTheirOptions) {
  const std::string all = printed({"optimizers"});
  for (const OptimizerInfo& info : optimizer_table()) {
    EXPECT_TRUE(contains(all, info.name, info.summary));
    const std::string one = printed({"optimizers", info.name});
    for (const OptionInfo& option : info.options)
      EXPECT_TRUE(contains(one, option.name, option.help, option.default_value)) << info.name;
  }
  for (const WrapperInfo& info : wrapper_table()) EXPECT_TRUE(contains(all, info.grammar(), info.summary));
  EXPECT_TRUE(contains(printed({"optimizers", "cosine"}), "STEPS"));
  const ProgramResult r = run_program({"optimizers", "adm"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_TRUE(contains(r.err, "adm", "did you mean 'adam'"));
}

TEST(Help, ModelsAndScores) {
  const std::string models = printed({"models"}), scores = printed({"scores"});
  for (const std::string& name : model_names()) EXPECT_TRUE(contains(models, name));
  for (const PruneScoreInfo& info : prune_score_table()) EXPECT_TRUE(contains(scores, info.name, info.summary));
  const auto model = nlohmann::json::parse(printed({"models", "mlp:64-32-10:tanh", "--json"}));
  EXPECT_EQ(model["parameters"], 64 * 32 + 32 + 32 * 10 + 10);
  EXPECT_TRUE(contains(printed({"models", "lenet5"}), "conv2d"));
  EXPECT_EQ(run_program({"models", "lenet6"}).exit_code, 2);
}

/// What bash offers for the last of these words.
std::vector<std::string> completed(const std::vector<std::string>& words) {
  const test::TempDir dir;
  write_text_atomically(dir.file("hso.bash"), printed({"completion", "bash"}));
  write_text_atomically(dir.file("script"), fmt::format("source {0}/hso.bash; COMP_WORDS=({1}); COMP_CWORD={2}; _hso\n"
                                                        "printf '%s\\n' \"${{COMPREPLY[@]}}\" >{0}/out\n",
                                                        dir.path().string(), fmt::join(words, " "), words.size() - 1));
  EXPECT_EQ(std::system(fmt::format("bash {}", dir.file("script")).c_str()), 0);
  return lines_of(read_text(dir.file("out")));
}

TEST(Help, BashCompletes) {
  EXPECT_EQ(completed({"hso", "spe"}), (std::vector<std::string>{"spectrum"}));
  EXPECT_EQ(completed({"hso", "train", "--optimizer", "hso.l"}), (std::vector<std::string>{"hso.lowrank"}));
  EXPECT_EQ(completed({"hso", "prune", "--spars"}), (std::vector<std::string>{"--sparsity"}));
  EXPECT_EQ(completed({"hso", "optimizers", "adag"}), (std::vector<std::string>{"adagrad"}));
}

TEST(Help, CompletionAndManualNameEveryOption) {
  const std::string bash = printed({"completion", "bash"}), zsh = printed({"completion", "zsh"});
  const std::string overview = printed({"manual"});
  const Table table;
  for (const cli::Command& command : table.line.commands()) {
    if (command.section().empty()) continue;
    EXPECT_TRUE(contains(bash, command.name()) && contains(zsh, command.name()) && contains(overview, command.name()));
    const std::string page = printed({"manual", command.name()});
    EXPECT_EQ(page.rfind(".TH HSO-", 0), 0u);
    for (const cli::Option& option : command.options()) {
      EXPECT_TRUE(contains(bash, option.flag()) || option.flag()[0] != '-') << option.flag();
      EXPECT_TRUE(contains(zsh, option.flag())) << option.flag();
      EXPECT_TRUE(contains(page, fmt::format("{}", fmt::join(split_text(option.flag(), '-'), "\\-"))))
          << command.name() << ' ' << option.flag();
    }
  }
  EXPECT_EQ(run_program({"completion", "fish"}).exit_code, 2);
  EXPECT_EQ(run_program({"manual", "nothing"}).exit_code, 2);
}

}  // namespace
}  // namespace hso
