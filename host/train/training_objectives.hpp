// SPDX-License-Identifier: Apache-2.0
//
// The objectives of a training on its data in device memory: that of the steps, with a curvature batch, a mask and
// penalties around it, and those that only evaluate.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>

#include "hsogpu/core/state.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective/adapters.hpp"
#include "objective/micro_batches.hpp"
#include "train/memory_plan.hpp"
#include "train/placed_data.hpp"
#include "train/schedule.hpp"
#include "train/training_memory.hpp"

namespace hso {

template <class T>
class TrainingObjectives {
 public:
  /// Keeps references to what it is given.
  TrainingObjectives(Context& context, const Network<T>& network, const PlacedData<T>& placed,
                     const TrainOptions& asked, const Mask& mask, const Schedule& schedule, const TrainingPlan& plan)
      : context_(context),
        weight_decay_(asked.weight_decay),
        objective_(context, network, placed.train, {plan.rows, plan.lanes, asked.weight_decay}),
        seen_(&objective_) {
    for (const Index rows : {schedule.batch, (placed.train.size - 1) % schedule.batch + 1})
      detail::require_whole_batch(network.graph, rows, plan.rows);
    if (asked.curvature_batch > 0) {
      const Index rows = std::min({plan.rows, asked.curvature_batch, placed.train.size});
      curvature_.emplace(context, network, placed.train, NetworkObjectiveOptions{rows, plan.lanes, asked.weight_decay});
      seen_ = &separate_.emplace(objective_, *curvature_);
    }
    if (is_masked(asked, mask)) seen_ = &masked_.emplace(*seen_, mask, MaskedOptions{asked.l1});
    const auto evaluation = [&](std::size_t i) { return NetworkObjectiveOptions{plan.evaluation_rows.at(i), 1, 0}; };
    if (!schedule.whole) train_evaluation_.emplace(context, network, placed.train, evaluation(0));
    if (placed.test) test_evaluation_.emplace(context, network, *placed.test, evaluation(schedule.whole ? 0 : 1));
  }

  /// What a training that begins takes on the device, and how many rows and directions at a time.
  static TrainingPlan plan(Context& context, const Network<T>& network, const PlacedData<T>& placed,
                           const TrainOptions& asked, const Mask& mask, const Schedule& schedule,
                           Optimizer<T>& optimizer) {
    const Index rows = placed.train.size, test_rows = placed.test ? placed.test->size : 0;
    const ParameterLayout layout = parameter_layout(context, network);
    TrainingNeeds needs{schedule.batch, asked.device_batch, optimizer.dense(), optimizer.bytes(context, layout)};
    const Index wanted = asked.device_batch > 0 ? asked.device_batch : std::max(kEvaluationRows, schedule.batch);
    if (is_masked(asked, mask)) needs.method += MaskedObjective<T>::bytes(layout.n);
    needs.curvature_rows = std::min(asked.curvature_batch, rows);
    if (!schedule.whole) needs.evaluations.push_back(std::min(wanted, rows));
    if (!schedule.whole) needs.order = context.ops<T>().sort_workspace_bytes(rows);
    if (test_rows > 0) needs.evaluations.push_back(std::min(wanted, test_rows));
    return plan_training<T>(context, network.graph, needs);
  }

  static bool is_masked(const TrainOptions& asked, const Mask& mask) { return !mask.kept.empty() || asked.l1 > 0; }

  NetworkObjective<T>& of_steps() { return objective_; }
  NetworkObjective<T>* of_curvature() { return curvature_ ? &*curvature_ : nullptr; }
  /// The outermost: what the optimizer steps on.
  Objective<T>& seen() { return *seen_; }
  /// Over the whole training part.
  NetworkObjective<T>& of_all() {
    tell_statistics();
    return train_evaluation_ ? *train_evaluation_ : objective_;
  }

  /// Losses, accuracies and the objective at theta.
  void evaluate(const Buffer<T>& theta, TrainRecord& record) {
    record.train = of_all().evaluate(theta.data());  // tells the other of the statistics too
    record.test.loss = std::numeric_limits<double>::quiet_NaN();
    if (test_evaluation_) record.test = test_evaluation_->evaluate(theta.data());
    const double squares = context_.ops<T>().dot(theta.size(), theta.data(), theta.data());
    record.objective =
        record.train.loss + 0.5 * weight_decay_ * squares + (masked_ ? masked_->penalty(theta.data()) : 0);
  }

  double gradient_equivalents() const {
    return objective_.gradient_equivalents() + (curvature_ ? curvature_->gradient_equivalents() : 0);
  }
  /// The counts that gradient_equivalents is made of: differences of them round alike only where they are the same.
  struct Counts {
    double steps = 0, curvature = 0;
    void visit_state(StateVisitor& state) {
      state("gradients_of_steps", steps);
      state("gradients_of_curvature", curvature);
    }
  };
  Counts counts() const {
    return {objective_.gradient_equivalents(), curvature_ ? curvature_->gradient_equivalents() : 0};
  }
  void set_counts(const Counts& counts) {
    objective_.micro_batches().gradient_equivalents = counts.steps;
    if (curvature_) curvature_->micro_batches().gradient_equivalents = counts.curvature;
  }

 private:
  /// Evaluations use the running statistics of the steps.
  void tell_statistics() {
    const std::vector<double> now = objective_.statistics();
    for (auto* evaluation : {&train_evaluation_, &test_evaluation_})
      if (*evaluation) (*evaluation)->set_statistics(now);
  }

  // Wider micro-batches make an evaluation no faster.
  static constexpr Index kEvaluationRows = 2048;

  Context& context_;
  double weight_decay_;
  NetworkObjective<T> objective_;
  std::optional<NetworkObjective<T>> curvature_, train_evaluation_, test_evaluation_;
  std::optional<SubsampledCurvature<T>> separate_;  ///< objective_ with the curvature batch
  std::optional<MaskedObjective<T>> masked_;        ///< one of the two under the mask and l1
  Objective<T>* seen_;
};

}  // namespace hso
