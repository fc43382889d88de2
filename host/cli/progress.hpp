// SPDX-License-Identifier: Apache-2.0
//
// Training told to people, on stderr: one line for each record; on a terminal also a line that follows the steps.
#pragma once

#include <chrono>
#include <string>

#include "hsogpu/train/train.hpp"

namespace hso::cli {

class ProgressPrinter {
 public:
  explicit ProgressPrinter(bool terminal) : terminal_(terminal) {}
  void step(Index step, const StepReport& report);
  void record(const TrainRecord& record);
  void finish(const TrainResult& result);

 private:
  void clear_line();
  bool terminal_;
  bool line_open_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace hso::cli
