// SPDX-License-Identifier: Apache-2.0
#include "train/training_steps.hpp"

namespace hso {

template <class T>
StepReport TrainingSteps<T>::take() {
  const auto number = static_cast<std::uint64_t>(progress_.calls);
  NetworkObjective<T>& objective = objectives_.of_steps();
  if (!schedule_.whole) objective.select(order_.rows_of(progress_.calls));
  objective.set_training(true, number);
  if (NetworkObjective<T>* curvature = objectives_.of_curvature()) {
    curvature->select(curvature_order_.rows_of(progress_.calls));
    curvature->set_training(true, number);
  }
  const double asked_before = objectives_.gradient_equivalents();
  const Stopwatch watch;
  take_snapshot();
  in_step_ = true;
  // It has read what it reports; the little that is still queued behind counts to the next step.
  const StepReport report = optimizer_.step(objectives_.seen(), theta_.data());
  in_step_ = false;
  if (failed(report.status)) restore_snapshot();
  if (report.status == StepStatus::accepted) objective.take_statistics();
  if (failed(report.status)) objective.set_statistics(objective.statistics());  // not what it would have left
  watch.read(last_cost_);
  last_cost_.gradients = objectives_.gradient_equivalents() - asked_before;
  spent_.seconds += last_cost_.seconds;
  spent_.processor_seconds += last_cost_.processor_seconds;
  spent_.gradients += last_cost_.gradients;
  progress_.count(report);
  count_gradients();
  return report;
}

template <class T>
void TrainingSteps<T>::queue() {
  pending_.begin(progress_, spent_);
  NetworkObjective<T>& objective = objectives_.of_steps();
  if (schedule_.whole) {
    objective.set_training(true, static_cast<std::uint64_t>(progress_.calls));
  } else {
    const Index epoch = order_.epoch_of(progress_.calls);
    if (epoch != epoch_on_device_) objective.shuffle(order_.seed_of(epoch));
    epoch_on_device_ = epoch;
    const auto [first, count] = order_.batch_of(progress_.calls);
    objective.select_from_order(first, count, static_cast<std::uint64_t>(progress_.calls));
  }
  const double asked_before = objectives_.gradient_equivalents();
  const InterruptScope to_its_end({});  // one batch; a half of what it queues would count as a step
  queue_->push(objectives_.seen(), theta_.data());
  pending_.add(objectives_.gradient_equivalents() - asked_before, progress_, spent_, last_cost_);
  queued_counts_.push_back(objectives_.counts());
}

template <class T>
StepReport TrainingSteps<T>::look() {
  const auto [taken, refused, report] = queue_->look();
  pending_.settle(taken, report, progress_, spent_, last_cost_);
  if (taken > 0) objectives_.set_counts(queued_counts_[static_cast<std::size_t>(taken - 1)]);
  queued_counts_.clear();
  if (failed(report.status) && snapshot_step_ + 1 == progress_.calls) restore_snapshot();
  count_gradients();
  return report;
}

template <class T>
void TrainingSteps<T>::take_snapshot() {
  if (theta_before_.size() == 0) theta_before_ = Buffer<T>(context_, theta_.size());
  context_.ops<T>().copy(theta_.size(), theta_.data(), theta_before_.data());
  snapshot_.take([this](StateVisitor& state) { optimizer_.visit_state(state, nullptr); });
  snapshot_step_ = progress_.calls;
}

template <class T>
void TrainingSteps<T>::restore_snapshot() {
  context_.ops<T>().copy(theta_.size(), theta_before_.data(), theta_.data());
  snapshot_.restore([this](StateVisitor& state) { optimizer_.visit_state(state, &objectives_.seen()); });
}

template <class T>
void TrainingSteps<T>::visit_state(StateVisitor& state) {
  progress_.visit_state(state);
  // Where the next step's rows lie in the order of their epoch, for people: both follow from the step.
  Index epoch = order_.epoch_of(progress_.calls), row = order_.batch_of(progress_.calls).first;
  state("epoch", epoch);
  state("row", row);
  state.part("spent", [&] { spent_.visit_state(state); });
  state.part("last_step", [&] { last_cost_.visit_state(state); });
  counts_.visit_state(state);
  // Of a gradient that the next step may take over.
  Buffer<T>& next = objectives_.of_steps().micro_batches().next_statistics;
  if (next.size() > 0) state("next_statistics", next);
}

template class TrainingSteps<float>;
template class TrainingSteps<double>;

}  // namespace hso
