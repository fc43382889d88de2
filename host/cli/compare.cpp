// SPDX-License-Identifier: Apache-2.0
#include "cli/compare.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "cli/common.hpp"
#include "cli/signals.hpp"
#include "hsogpu/error.hpp"
#include "train/run_directory.hpp"

namespace hso::cli {

CompareFlags::CompareFlags(CLI::App& command) {
  list_ = command.add_option("--compare", contenders_,
                             "optimizers to compare instead of a training: NAME[:OPTION=VALUE,...],...");
  others_ = {command.add_option("--compare-seeds", seeds_, "seeds of a comparison, from --seed on [3]"),
             command.add_option("--compare-rates", rates_,
                                "values of the learning rate, or of the main option, tried for each [5]"),
             command.add_option("--compare-budget", budget_, "steps:N, seconds:X or gradients:X [steps:200]")};
}

void CompareFlags::require_none() const {
  for (const CLI::Option* option : others_)
    if (option->count() > 0) throw UsageError(fmt::format("{}: there is no --compare", option->get_name()));
}

int CompareFlags::run(const TrainOptions& base, const std::string& directory, bool json, bool quiet) const {
  CompareOptions options{parse_budget(budget_), seeds_, rates_};
  const std::vector<Contender> contenders = parse_contenders(contenders_);
  RunDirectory::check(directory, base.overwrite);
  std::optional<SignalWatch> signals;
  const SignalScope scope;
  options.interrupted = [] { return SignalWatch::caught() != 0; };
  if (!quiet) options.on_data = print_data;
  options.on_run = [&](const std::string& line) {
    if (!signals) signals.emplace();  // from now on there is something to be written
    if (!quiet) fmt::print(stderr, "{}\n", line);
  };
  const Comparison result = compare(base, contenders, options);
  if (!quiet) fmt::print(stderr, "\n{}", comparison_table(result));
  if (json) fmt::print("{}\n", comparison_json(result));
  const std::string written = write_comparison(result, directory);
  if (!quiet) fmt::print(stderr, "run {}\n", written);
  return result.complete ? 0 : 128 + SignalWatch::caught();
}

}  // namespace hso::cli
