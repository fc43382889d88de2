// SPDX-License-Identifier: Apache-2.0
#include "cli/compare.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "cli/common.hpp"
#include "cli/save_on_signal.hpp"
#include "cli/signals.hpp"
#include "hsogpu/core/error.hpp"
#include "train/run_files.hpp"

namespace hso::cli {

CompareFlags::CompareFlags(Command& command) {
  command.group("comparison");
  list_ = &command.option("--compare NAMES", contenders_,
                          "optimizers to compare instead of a training: NAME[:OPTION=VALUE,...],...");
  others_ = {&command.option("--compare-seeds N", seeds_, "seeds of a comparison, from --seed on [3]").whole_number(1),
             &command
                  .option("--compare-rates N", rates_,
                          "values of the learning rate, or of the main option, tried for each [5]")
                  .whole_number(1),
             &command.option("--compare-budget WORD:X", budget_, "steps:N, seconds:X or gradients:X [steps:200]")};
}

void CompareFlags::require_none() const {
  for (const Option* option : others_)
    if (option->given()) throw UsageError(fmt::format("{}: there is no --compare", option->flag()));
}

int CompareFlags::run(const TrainOptions& base, const std::string& path, bool json, bool quiet) const {
  CompareOptions options{parse_budget(budget_), seeds_, rates_};
  const std::vector<Contender> contenders = parse_contenders(contenders_);
  std::optional<RunDirectory> directory(std::in_place, path, base.overwrite);  // locked from now on
  std::optional<SignalWatch> signals;
  const SignalScope scope;
  options.interrupted = [] { return SignalWatch::caught() != 0; };
  options.on_data = [&](const DataDescription& data) {
    signals.emplace();  // the data is read, and nothing written yet
    if (!quiet) print_data(data);
  };
  if (!quiet) options.on_run = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  const auto conclude = [&](const Comparison& result) {
    if (!quiet) fmt::print(stderr, "\n{}", comparison_table(result));
    if (json) fmt::print("{}\n", comparison_json(result));
    write_comparison(result, *directory);
    if (!quiet) fmt::print(stderr, "run {}\n", directory->path());
    directory.reset();
    return result.complete ? 0 : 128 + SignalWatch::caught();
  };
  SaveOnSignal saving;
  options.blocking = saving.hook<Comparison>([&](const Comparison& known) {
    if (!known.contenders.front().trials.empty()) return conclude(known);
    directory.reset();
    return 128 + SignalWatch::caught();
  });
  return conclude(compare(base, contenders, options));
}

}  // namespace hso::cli
