// SPDX-License-Identifier: Apache-2.0
#include "train/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace hso {
namespace {

constexpr double kDiverged = 1000;  // times the objective of the start, or times 1
constexpr Index kDefaultBatch = 128, kDefaultEpochs = 20, kDefaultSteps = 20;

/// a b, or the largest number there is: a limit that nothing reaches.
Index saturating(Index a, Index b) {
  Index product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<Index>::max() : product;
}

}  // namespace

void Progress::count(const StepReport& report) {
  const bool moved = report.status == StepStatus::accepted;
  ++calls;
  accepted += moved ? 1 : 0;
  trials += std::max(report.trials, 1);
  rejected_in_a_row = report.status == StepStatus::rejected ? rejected_in_a_row + 1 : 0;
  failed_in_a_row = failed(report.status) ? failed_in_a_row + 1 : 0;
}

void Progress::visit_state(StateVisitor& state) {
  state("step", calls);
  state("accepted", accepted);
  state("trials", trials);
  state("rejected_in_a_row", rejected_in_a_row);
  state("failed_in_a_row", failed_in_a_row);
}

void Cost::visit_state(StateVisitor& state) {
  state("seconds", seconds);
  state("processor_seconds", processor_seconds);
  state("gradients", gradients);
}

bool failed(StepStatus status) { return status == StepStatus::not_finite || status == StepStatus::singular; }

Schedule::Schedule(const TrainOptions& options, bool full_batch, Index rows) {
  batch = std::min(rows, options.batch > 0 ? options.batch : full_batch ? rows : kDefaultBatch);
  whole = batch == rows;
  own_curvature = options.curvature_batch > 0;
  steps_per_epoch = rows / batch + (rows % batch != 0 ? 1 : 0);
  steps = options.steps;
  epochs = options.epochs;
  if (steps == 0 && epochs == 0) (full_batch ? steps : epochs) = full_batch ? kDefaultSteps : kDefaultEpochs;
  max_trials = options.max_trials > 0 ? options.max_trials
                                      : saturating(2, steps > 0 ? steps : saturating(epochs, steps_per_epoch));
  evaluate_every = options.evaluate_every > 0 ? options.evaluate_every : steps_per_epoch;
  checkpoint_every = options.checkpoint_every;
}

std::string Schedule::stop_reason(const Progress& progress) const {
  if (steps > 0 && progress.accepted >= steps) return "steps";
  if (epochs > 0 && progress.calls >= saturating(epochs, steps_per_epoch)) return "epochs";
  if (progress.trials >= max_trials) return "trials";
  // The same rows at the same point: a second refusal says all that a third one would.
  if (whole && !own_curvature && progress.rejected_in_a_row >= 2) return "stalled";
  return "";
}

std::string budget_spent(const TrainOptions& o, const Cost& spent, const Cost& last) {
  if (o.max_seconds > 0 && spent.seconds + last.seconds > o.max_seconds) return "seconds";
  const double processor = spent.processor_seconds + last.processor_seconds;
  if (o.max_processor_seconds > 0 && processor > o.max_processor_seconds) return "seconds";
  // A sum of thirds may pass a whole number by its rounding.
  if (o.max_gradients > 0 && spent.gradients + last.gradients > o.max_gradients * (1 + 1e-9)) return "gradients";
  return "";
}

std::string target_reached(const TrainOptions& o, const Evaluation& now) {
  if (o.target_loss > 0 && now.loss <= o.target_loss) return "target_loss";
  if (o.target_accuracy > 0 && now.accuracy >= o.target_accuracy) return "target_accuracy";
  return "";
}

void judge_end(TrainResult& result, const TrainOptions& options, const Progress& progress, const StepReport& last,
               double first_objective) {
  if (result.stop_reason == "interrupted" || result.numerical_failure) return;
  if (!target_reached(options, result.last.train).empty()) return;
  const double end = result.last.objective;
  const bool diverged = !(end <= kDiverged * std::max(first_objective, 1.0));
  if (progress.failed_in_a_row == 0 && !diverged) return;
  result.numerical_failure = true;
  result.stop_reason = progress.failed_in_a_row > 0 ? name_of(last.status) : "diverged";
  if (progress.failed_in_a_row == 0)
    result.history.back().report.message =
        fmt::format("the objective is {:.6g}, at the start it was {:.6g}", end, first_objective);
}

TrainOptions resolved_options(const TrainOptions& options, const Schedule& schedule, const std::string& device) {
  TrainOptions out = options;
  out.batch = schedule.batch;
  out.steps = schedule.steps;
  out.epochs = schedule.epochs;
  out.max_trials = schedule.max_trials;
  out.evaluate_every = schedule.evaluate_every;
  out.device = device;
  for (const OptimizerInfo& info : optimizer_table())
    if (info.name == options.optimizer)
      for (const OptionInfo& option : info.options) out.optimizer_settings.emplace(option.name, option.default_value);
  return out;
}

}  // namespace hso
