// SPDX-License-Identifier: Apache-2.0
//
// `hso train --compare`: several optimizers with equal budgets and seeds (hsogpu/train/compare.hpp).
#pragma once

#include <string>
#include <vector>

#include "cli/command.hpp"
#include "hsogpu/train/compare.hpp"

namespace hso::cli {

class CompareFlags {
 public:
  /// --compare, --compare-seeds, --compare-rates, --compare-budget.
  explicit CompareFlags(Command& command);
  bool requested() const { return list_->given(); }
  /// UsageError when one of the others is there without --compare.
  void require_none() const;
  /// Runs the comparison, writes it to the run directory `path` (also what is known at an interruption), prints the
  /// table on stderr and the JSON on stdout. Returns the exit code.
  int run(const TrainOptions& base, const std::string& path, bool json, bool quiet) const;

 private:
  std::string contenders_, budget_ = "steps:200";
  Index seeds_ = 3, rates_ = 5;
  const Option* list_ = nullptr;
  std::vector<const Option*> others_;
};

}  // namespace hso::cli
