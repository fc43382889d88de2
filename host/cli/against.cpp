// SPDX-License-Identifier: Apache-2.0
#include "cli/against.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "io/shown_numbers.hpp"
#include "train/fields.hpp"

namespace hso::cli {
namespace {

void print_row(const std::string& name, const TrainResult& r) {
  fmt::print(stderr, "  {:<14}{:>10}{:>14.6g}{:>12}{:>12.2f}\n", name, r.last.step, r.last.test.loss,
             percent(r.last.test.accuracy), r.history.back().processor_seconds);
}

}  // namespace

AgainstFlag::AgainstFlag(Command& command) {
  command.group("comparison");
  command
      .option("--against NAME", rival_,
              "afterwards train with this optimizer, at its defaults, from the same start for the same time, print "
              "both, and what to try next")
      .words(find_train_field("optimizer")->words);
}

/// The same problem and start; all that belongs to a method or to the end of a training is the rival's own.
TrainOptions AgainstFlag::rival_options(TrainOptions options) const {
  set_field(options, *find_train_field("optimizer"), rival_, "--against");
  options.optimizer_settings.clear();
  options.wrappers.clear();
  options.run_directory.clear();
  options.spectrum_every = options.checkpoint_every = options.batch = options.curvature_batch = options.epochs = 0;
  options.target_loss = options.target_accuracy = options.max_seconds = options.max_gradients = 0;
  options.steps = options.max_trials = 1'000'000'000;
  if (options.patience > 0) options.patience = options.steps;  // the best of its points as well
  return options;
}

void AgainstFlag::check(const TrainOptions& options) const { check_train_options(rival_options(options)); }

bool AgainstFlag::run(const TrainOptions& options, const TrainResult& run,
                      const std::function<bool()>& interrupted) const {
  TrainOptions other = rival_options(options);
  other.max_processor_seconds = run.history.back().processor_seconds;
  TrainHooks hooks;
  hooks.interrupted = interrupted;
  const TrainResult rival = train(other, hooks);
  if (rival.stop_reason == "interrupted") return false;
  const std::string& mine = options.optimizer;
  fmt::print(stderr, "\n{} against {} at its defaults, from the same start, in the same time\n", mine, rival_);
  fmt::print(stderr, "  {:<14}{:>10}{:>14}{:>12}{:>12}\n", "", "step", "test loss", "accuracy", "seconds");
  print_row(mine, run);
  print_row(rival_, rival);
  if (rival.numerical_failure) fmt::print(stderr, "  {} stopped early: {}\n", rival_, rival.stop_reason);
  if (run.run_directory.empty()) return true;
  fmt::print(stderr, "\nnext\n");
  for (const char* command : {"hso spectrum --checkpoint {} --method lanczos --k 5", "hso check --checkpoint {}",
                              "hso prune --checkpoint {} --score obs --sparsity 0.8 --finetune-steps 5"})
    fmt::print(stderr, "  {}\n", fmt::format(fmt::runtime(command), run.run_directory));
  return true;
}

}  // namespace hso::cli
