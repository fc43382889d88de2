// SPDX-License-Identifier: Apache-2.0
//
// `hso train --against NAME`: what another method reaches from the same start in the same time.
#pragma once

#include <functional>
#include <string>

#include "cli/command.hpp"
#include "hsogpu/train.hpp"

namespace hso::cli {

class AgainstFlag {
 public:
  explicit AgainstFlag(Command& command);
  bool requested() const { return !rival_.empty(); }
  /// UsageError for an unknown method, before anything is trained.
  void check() const;
  /// Trains `options` with the other method at its defaults for the processor's time that `run` spent in its steps, in
  /// memory, and prints both, and what to try next, on stderr.
  void run(TrainOptions options, const TrainResult& run, const std::function<bool()>& interrupted) const;

 private:
  std::string rival_;
};

}  // namespace hso::cli
