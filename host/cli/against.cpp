// SPDX-License-Identifier: Apache-2.0
#include "cli/against.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "io/shown_numbers.hpp"
#include "train/fields.hpp"

namespace hso::cli {
namespace {

std::vector<std::string> optimizers() {
  std::vector<std::string> names;
  for (const OptimizerInfo& info : optimizer_table()) names.push_back(info.name);
  return names;
}

void print_row(const std::string& name, const TrainResult& r) {
  fmt::print(stderr, "  {:<14}{:>10}{:>14.6g}{:>12}{:>12.2f}\n", name, r.last.step, r.last.test.loss,
             percent(r.last.test.accuracy), r.history.back().processor_seconds);
}

TrainOptions with_optimizer(TrainOptions options, const std::string& name) {
  set_field(options, *find_train_field("optimizer"), name, "--against");
  return options;
}

}  // namespace

AgainstFlag::AgainstFlag(Command& command) {
  command.group("comparison");
  command
      .option("--against NAME", rival_,
              "afterwards train with this optimizer, at its defaults, from the same start for the same time, print "
              "both, and what to try next")
      .words(optimizers());
}

void AgainstFlag::check() const { with_optimizer({}, rival_); }

void AgainstFlag::run(TrainOptions options, const TrainResult& run, const std::function<bool()>& interrupted) const {
  const std::string mine = options.optimizer;
  options = with_optimizer(options, rival_);
  options.run_directory.clear();
  options.spectrum_every = options.checkpoint_every = options.batch = options.epochs = 0;
  options.steps = options.max_trials = 1'000'000'000;
  options.patience = options.steps;  // the best of its points too
  options.max_processor_seconds = run.history.back().processor_seconds;
  TrainHooks hooks;
  hooks.interrupted = interrupted;
  const TrainResult rival = train(options, hooks);
  fmt::print(stderr, "\n{} against {} at its defaults, from the same start, in the same time\n", mine, rival_);
  fmt::print(stderr, "  {:<14}{:>10}{:>14}{:>12}{:>12}\n", "", "step", "test loss", "accuracy", "seconds");
  print_row(mine, run);
  print_row(rival_, rival);
  if (run.run_directory.empty()) return;
  fmt::print(stderr, "\nnext\n");
  for (const char* command : {"hso spectrum --checkpoint {} --method lanczos --k 5", "hso check --checkpoint {}",
                              "hso prune --checkpoint {} --score obs --sparsity 0.8 --finetune-steps 5"})
    fmt::print(stderr, "  {}\n", fmt::format(fmt::runtime(command), run.run_directory));
}

}  // namespace hso::cli
