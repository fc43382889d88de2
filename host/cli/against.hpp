// SPDX-License-Identifier: Apache-2.0
//
// `hso train --against NAME`: what another method reaches from the same start in the same time.
#pragma once

#include <functional>
#include <string>

#include "cli/command.hpp"
#include "hsogpu/train/train.hpp"

namespace hso::cli {

class AgainstFlag {
 public:
  explicit AgainstFlag(Command& command);
  bool requested() const { return !rival_.empty(); }
  /// UsageError for a method that is unknown or cannot train this, before anything is trained.
  void check(const TrainOptions& options) const;
  /// Trains `options` with the other method at its defaults for the processor's time that `run` spent in its steps, in
  /// memory, and prints both, and what to try next, on stderr. False where a signal ended it.
  bool run(const TrainOptions& options, const TrainResult& run, const std::function<bool()>& interrupted) const;

 private:
  TrainOptions rival_options(TrainOptions options) const;
  std::string rival_;
};

}  // namespace hso::cli
