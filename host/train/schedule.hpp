// SPDX-License-Identifier: Apache-2.0
//
// When a training stops, evaluates and saves: the options with their zeros filled in.
#pragma once

#include <string>

#include "hsogpu/train/train.hpp"

namespace hso {

struct Progress {
  Index calls = 0;     ///< of Optimizer::step
  Index accepted = 0;  ///< steps that moved theta
  Index trials = 0;
  Index rejected_in_a_row = 0;
  Index failed_in_a_row = 0;  ///< not_finite or singular

  void count(const StepReport& report);
  void visit_state(StateVisitor& state);
};

struct Schedule {
  Index batch = 0, steps_per_epoch = 1;
  bool whole = true;           ///< every step sees all rows
  bool own_curvature = false;  ///< its curvature is of a batch of its own
  Index steps = 0;             ///< accepted steps; 0: no limit
  Index epochs = 0;            ///< 0: no limit
  Index max_trials = 0;
  Index evaluate_every = 1;
  Index checkpoint_every = 0;

  Schedule(const TrainOptions& options, bool full_batch, Index rows);
  /// "" while there is more to do, else "steps", "epochs", "trials" or "stalled".
  std::string stop_reason(const Progress& progress) const;
  double epoch_of(Index calls) const { return static_cast<double>(calls) / static_cast<double>(steps_per_epoch); }
};

struct Cost {
  double seconds = 0, processor_seconds = 0, gradients = 0;
  void visit_state(StateVisitor& state);
};

bool failed(StepStatus status);
/// "" while one more step like the last stays within the budgets, else "seconds" or "gradients".
std::string budget_spent(const TrainOptions& options, const Cost& spent, const Cost& last);
/// "" until a target is reached, then "target_loss" or "target_accuracy".
std::string target_reached(const TrainOptions& options, const Evaluation& now);

/// A training whose last step failed, or whose objective at the end is far above that of its start, has failed: says so
/// in the result. Not where a target was reached, or where it was interrupted.
void judge_end(TrainResult& result, const TrainOptions& options, const Progress& progress, const StepReport& last,
               double first_objective);

/// What config.toml keeps: the zeros that have a meaning filled in, every optimizer option spelled out.
TrainOptions resolved_options(const TrainOptions& options, const Schedule& schedule, const std::string& device);

}  // namespace hso
