// SPDX-License-Identifier: Apache-2.0
#include "train/pending_steps.hpp"

#include <ctime>

namespace hso {

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double processor_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void Stopwatch::read(Cost& cost) const {
  cost.seconds = seconds_since(start_);
  cost.processor_seconds = processor_seconds() - processor_start_;
}

void PendingSteps::begin(const Progress& progress, const Cost& spent) {
  if (!empty()) return;
  watch_ = {};
  progress_ = progress;
  spent_ = spent;
}

void PendingSteps::add(double gradients, Progress& progress, Cost& spent, Cost& last) {
  gradients_.push_back(gradients);
  last.gradients = gradients;
  spent.gradients += gradients;
  progress.count({});
}

void PendingSteps::settle(Index taken, const StepReport& report, Progress& progress, Cost& spent, Cost& last) {
  progress = progress_;
  spent = spent_;
  watch_.read(last);
  spent.seconds += last.seconds;
  spent.processor_seconds += last.processor_seconds;
  for (Index i = 0; i < taken; ++i) {
    last.gradients = gradients_[static_cast<std::size_t>(i)];
    spent.gradients += last.gradients;
    progress.count(i + 1 < taken ? StepReport{} : report);
  }
  gradients_.clear();
}

}  // namespace hso
