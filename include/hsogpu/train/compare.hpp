// SPDX-License-Identifier: Apache-2.0
//
// Several optimizers on one problem: equal budgets, several seeds, the same number of search trials for each.
//
//   TrainOptions base;  // digits, mlp:64-32-10:tanh
//   const auto contenders = parse_contenders("adam,hso.cg:iterations=20");
//   const Comparison c = compare(base, contenders, {.budget = parse_budget("gradients:100")});
//   std::puts(comparison_table(c).c_str());  // comparison_json and comparison_svg beside it
//
// Each contender first runs `rates` trials on the first seed, each with a share of the budget. They differ in one
// option, on a geometric grid of that size around its default (or the value that the contender gives): the learning
// rate, steps of a factor sqrt(10); for methods whose own rate is 1, or that have none, their main option instead:
// delta (the forms of HSO), damping or radius in steps of 10, history, memory or iterations in steps of 2. The smallest
// training loss decides, and that value runs on all seeds with the full budget.
//
// Budgets: optimizer steps (rejected ones included), seconds spent in steps, or gradients of the whole training part
// and their equivalents (NetworkObjective::gradient_equivalents has the constants). A run stops before a step like its
// last would pass the budget, and what it reached beyond the budget does not count (seconds: beyond a twentieth more,
// which is what a machine's own noise needs), so a method whose first step costs more than all of it stays at its
// start.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "hsogpu/train/train.hpp"

namespace hso {

struct Contender {
  std::string name;  ///< as it was given
  std::string optimizer;
  OptimizerSettings settings{};
};
/// "optimizer[:option=value,...]". UsageError names the unknown optimizer or option, with a suggestion.
Contender parse_contender(const std::string& text);
/// The same between commas; "a:x=1,y=2,b" is a with two options, and b. UsageError also for one that is there twice.
std::vector<Contender> parse_contenders(const std::string& list);

/// The option that a contender's trials differ in.
struct SearchedOption {
  std::string name;  ///< empty: the method has none, and one trial stands for all
  double centre = 0, factor = 1;
  bool whole = false;  ///< takes whole numbers alone
};
SearchedOption searched_option(const Contender& contender);
/// centre * factor^k for k from -(count / 2) up, to three digits; the centre as it is.
std::vector<double> search_grid(const SearchedOption& option, Index count);

enum class BudgetKind { steps, seconds, gradients };
struct Budget {
  BudgetKind kind = BudgetKind::steps;
  double amount = 200;
};
/// "steps:200", "seconds:5", "gradients:1000"; UsageError otherwise.
Budget parse_budget(const std::string& text);
const char* name_of(BudgetKind kind);

struct Comparison;

struct CompareOptions {
  Budget budget{};
  Index seeds = 3;                                        ///< base.seed, base.seed + 1, ...: of split, start, batches
  Index rates = 5;                                        ///< search trials of each; 1: nothing to choose from
  double search_share = 0.25;                             ///< of the budget, for a trial
  std::function<bool()> interrupted{};                    ///< asked once a step
  std::function<void(const DataDescription&)> on_data{};  ///< of the first training
  std::function<void(const std::string& line)> on_run{};  ///< after every run
  BlockingHook<Comparison> blocking{};                    ///< the run that is left so is not there; perhaps none is
};

struct CurvePoint {
  Index step = 0;
  double seconds = 0, gradient_equivalents = 0;
  double loss = std::numeric_limits<double>::quiet_NaN(), accuracy = -1;  ///< of the training part
};

/// One training: where it was at the end of its budget.
struct CompareRun {
  std::uint64_t seed = 0;
  double value = 0;  ///< of the searched option
  CurvePoint last;
  double test_loss = std::numeric_limits<double>::quiet_NaN(), test_accuracy = -1;
  std::string status;   ///< why it stopped: TrainResult::stop_reason, or "failed"
  std::string message;  ///< of a failure
  std::vector<CurvePoint> curve;
  /// It ran to its end and has a loss.
  bool counts() const;
};

struct ContenderResult {
  Contender contender;
  SearchedOption searched;
  std::vector<CompareRun> trials;
  Index best = -1;  ///< of the trials; -1: none has a finite loss
  std::vector<CompareRun> runs;
};

struct Comparison {
  TrainOptions base;
  Budget budget;
  Index seeds = 0, rates = 0;
  double search_share = 0;
  std::vector<ContenderResult> contenders;
  std::string device;
  DataDescription data{};  ///< of the first training
  bool complete = false;   ///< false: interrupted, and what is there is what was known
};

/// UsageError, before anything runs, for options out of range and for a base that stops by itself (steps, epochs,
/// max_trials, targets, max_seconds, max_gradients) or writes (run_directory, checkpoints, spectra). InputError and
/// DeviceError end the comparison; a contender that cannot be run (usage, memory, numerical) has status "failed" and
/// the message, unless all of them fail, when the first error is thrown. Runs of one seed follow each other: what the
/// machine does meanwhile falls on all. With a budget of steps or gradients the numbers but the seconds are the same
/// every time.
Comparison compare(const TrainOptions& base, const std::vector<Contender>& contenders,
                   const CompareOptions& options = {});

/// One row each: best value, final loss (mean, least, most), accuracy, seconds, gradient-equivalents, status.
std::string comparison_table(const Comparison& comparison);
/// Options, trials, runs with their curves, summaries, and the environment.
std::string comparison_json(const Comparison& comparison);
/// Self-contained: training loss on a logarithmic axis against steps, seconds and gradient-equivalents, for each
/// contender the median over seeds with a band from the least to the most. A run that ended keeps its last loss.
std::string comparison_svg(const Comparison& comparison);

/// Writes comparison.json, comparison.svg, comparison.txt, config.toml (the base) and env.json to a run directory
/// ("###" in its last part becomes the first free number; a run is replaced where the base says overwrite) and returns
/// its path.
std::string write_comparison(const Comparison& comparison, const std::string& run_directory);

}  // namespace hso
