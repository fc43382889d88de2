// SPDX-License-Identifier: Apache-2.0
#include "optim/step/queued_descent.hpp"

#include <cmath>

namespace hso::detail {

namespace {

/// Where a step's norms and loss lie among its results.
struct Norms {
  static constexpr Index kCount = 5;
  double gradient_squares, gradient_largest, loss, step_squares, step_largest;
};

}  // namespace

template <class T>
DeviceQueue<T>& QueuedDescent<T>::queue(Context& context) {
  if (!queue_ || &queue_->context() != &context) queue_ = std::make_unique<DeviceQueue<T>>(context);
  return *queue_;
}

template <class T>
void QueuedDescent<T>::start(Objective<T>& objective) {
  proposals_ = taken_ = 0;
  ++starts_;
  begin(objective);
}

template <class T>
void QueuedDescent<T>::visit_method(StateVisitor& state, Objective<T>*) {
  state("proposals", proposals_);
  state("taken", taken_);
  visit_own(state);
}

template <class T>
StepReport QueuedDescent<T>::step(Objective<T>& objective, T* theta) {
  DeviceQueue<T>& own = queue(objective.context());
  if (!own.push(*this, objective, theta)) return Descent<T>::step(objective, theta);
  return own.look(*this).report;
}

template <class T>
Queueing QueuedDescent<T>::announce(Objective<T>& objective, const T*, std::vector<std::uintptr_t>& key) {
  this->make_room(objective);
  key.insert(key.end(), {reinterpret_cast<std::uintptr_t>(this->gradient()),
                         reinterpret_cast<std::uintptr_t>(this->own_step()), starts_});
  return announce_gradient(objective, key);
}

template <class T>
Queueing QueuedDescent<T>::announce_gradient(Objective<T>& objective, std::vector<std::uintptr_t>& key) {
  return objective.announce_gradient(key) ? Queueing::recorded : Queueing::plain;
}

template <class T>
void QueuedDescent<T>::next(std::vector<double>& numbers) {
  ++proposals_;
  ++taken_;
  const std::size_t before = numbers.size();
  add_numbers(numbers);
  numbers_ = static_cast<Index>(numbers.size() - before);
}

template <class T>
void QueuedDescent<T>::launch(Objective<T>& objective, T* theta, DevicePlaces& at) {
  auto& ops = objective.context().template ops<T>();
  const Index n = objective.dimension();
  T *g = this->gradient(), *step = this->own_step();
  double* norms = at.results(Norms::kCount);
  const std::uint64_t point_check = at.check(), step_check = at.check();
  objective.gradient_on_device(theta, g, norms + 2);
  ops.norms_on_device(n, g, norms);
  ops.for_each(1, 1, CheckFinite<T>{at.flags(), norms + 1, 2, point_check});
  form(objective, theta, g, step, at);
  ops.norms_on_device(n, step, norms + 3);
  ops.for_each(1, 1, CheckFinite<T>{at.flags(), norms + 4, 1, step_check});
  axpby_under(ops, at.go(), n, T(1), step, T(1), theta);
  commit_under(ops, at.go());
}

template <class T>
void QueuedDescent<T>::settle(StepRecord& record, StepReport& report) {
  const double* values = record.places.results(Norms::kCount);
  const Norms norms{values[0], values[1], values[2], values[3], values[4]};
  const bool point_failed = record.places.check() == record.failed;
  const bool step_failed = record.places.check() == record.failed;
  proposals_ -= record.skipped + (point_failed ? 1 : 0);
  taken_ -= record.skipped + (point_failed || step_failed ? 1 : 0);
  report.trials = 0;
  report.loss_before = report.loss_after = norms.loss;
  report.gradient_norm = std::sqrt(norms.gradient_squares);
  record.places.numbers(numbers_);
  tell(record.places, point_failed ? nullptr : &report);
  if (point_failed) return void(this->refuse_point(report));
  if (step_failed) return void(this->refuse(report, StepStatus::not_finite, "the step is not finite"));
  report.step_norm = std::sqrt(norms.step_squares);
}

template <class T>
DevicePlaces QueuedDescent<T>::decide_now(Context& context, const std::vector<double>& numbers) {
  return queue(context).begin(numbers);
}

template <class T>
void QueuedDescent<T>::form_now(Objective<T>& objective, const T* theta, const T* g, T* step, StepReport& report) {
  ++proposals_;
  std::vector<double> numbers;
  add_numbers(numbers);
  DevicePlaces at = decide_now(objective.context(), numbers);
  form(objective, theta, g, step, at);
  StepPlaces<const double> seen = queue_->read(at);
  tell(seen, &report);
}

template <class T>
void QueuedDescent<T>::commit(Ops<T>& ops) {
  ++taken_;
  commit_under(ops, queue_->go());
}

template class QueuedDescent<float>;
template class QueuedDescent<double>;

}  // namespace hso::detail
