// SPDX-License-Identifier: Apache-2.0
//
// `hso train --compare`: several optimizers with equal budgets and seeds (hsogpu/compare.hpp).
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "hsogpu/compare.hpp"

namespace hso::cli {

class CompareFlags {
 public:
  /// --compare, --compare-seeds, --compare-rates, --compare-budget.
  explicit CompareFlags(CLI::App& command);
  bool requested() const { return list_->count() > 0; }
  /// UsageError when one of the others is there without --compare.
  void require_none() const;
  /// Runs the comparison, writes it to the run directory `path` (also what is known at an interruption), prints the
  /// table on stderr and the JSON on stdout. Returns the exit code.
  int run(const TrainOptions& base, const std::string& path, bool json, bool quiet) const;

 private:
  std::string contenders_, budget_ = "steps:200";
  Index seeds_ = 3, rates_ = 5;
  CLI::Option* list_ = nullptr;
  std::vector<CLI::Option*> others_;
};

}  // namespace hso::cli
