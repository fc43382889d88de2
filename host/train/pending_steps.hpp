// SPDX-License-Identifier: Apache-2.0
//
// What a training counts: time and gradients that steps have cost, and, of steps that are queued, what they will have
// cost once somebody has looked at them.
#pragma once

#include <chrono>
#include <vector>

#include "train/schedule.hpp"

namespace hso {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start);
/// Of all threads of this process.
double processor_seconds();

/// Both clocks from when it is made.
class Stopwatch {
 public:
  /// `gradients` is left alone.
  void read(Cost& cost) const;

 private:
  Clock::time_point start_ = Clock::now();
  double processor_start_ = processor_seconds();
};

/// Steps that are queued are counted as accepted, until a look says how many were.
class PendingSteps {
 public:
  bool empty() const { return gradients_.empty(); }
  std::size_t size() const { return gradients_.size(); }
  /// Before a step.
  void begin(const Progress& progress, const Cost& spent);
  /// The step, which cost as many gradients; time is known after a look.
  void add(double gradients, Progress& progress, Cost& spent, Cost& last);
  /// The look: `taken` steps, the last of them with this report; those behind it were none.
  void settle(Index taken, const StepReport& report, Progress& progress, Cost& spent, Cost& last);

 private:
  Stopwatch watch_;
  Progress progress_;  ///< before the first of them
  Cost spent_;
  std::vector<double> gradients_;
};

}  // namespace hso
