// SPDX-License-Identifier: Apache-2.0
#include "optim/wrappers/wrapper.hpp"

#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"

namespace hso::detail {

void require_argument(bool ok, const char* wrapper, const char* argument, double value, const char* expected) {
  if (!ok)
    throw UsageError(fmt::format("wrapper {}: {} = {}, expected {}", wrapper, argument, unsigned_nan(value), expected));
}

template <class T>
Wrapper<T>::Wrapper(std::unique_ptr<Optimizer<T>> inner, std::string kind)
    : inner_(std::move(inner)), kind_(std::move(kind)), name_(inner_->name() + "+" + kind_) {}

template <class T>
void Wrapper<T>::make_room(Objective<T>& objective) {
  if (n_ == objective.dimension() && ops_ == &objective.context().template ops<T>()) return;
  ops_ = &objective.context().template ops<T>();
  for (Buffer<T>* b : {&trial_, &displacement_}) *b = Buffer<T>(objective.context(), objective.dimension());
  start(objective.context(), objective.dimension());
  n_ = objective.dimension();
  steps_ = 0;
  ++starts_;
}

template <class T>
void Wrapper<T>::visit_state(StateVisitor& state, Objective<T>* coming) {
  state.part("inner", [&] { inner_->visit_state(state, coming); });
  if (!state.started(n_ >= 0)) {
    n_ = -1;
    return;
  }
  if (state.reads()) make_room(*coming);
  state("steps", steps_);
  visit_own(state);
}

template <class T>
StepReport Wrapper<T>::step(Objective<T>& objective, T* theta) {
  make_room(objective);
  ops_->copy(n_, theta, trial_.data());
  StepReport report = inner_step(objective, trial_.data());
  if (report.status != StepStatus::accepted) return report;
  take_displacement(theta);
  const double inner_norm = report.step_norm;
  const bool changed = change(theta, displacement_.data(), report);
  if (changed) {
    report.metrics.emplace_back("step_norm_before_" + kind_, inner_norm);
    ops_->copy(n_, theta, trial_.data());
    ops_->axpby(n_, T(1), displacement_.data(), T(1), trial_.data());
    report.loss_after = report.loss_before;
    report.step_norm = ops_->nrm2(n_, displacement_.data());
  }
  return apply(theta, report);
}

/// theta' - theta has lost what rounding takes from a small step on a large theta: the inner method's own is better.
template <class T>
void Wrapper<T>::take_displacement(const T* theta) {
  if (const T* d = inner_->displacement(); d != nullptr) {
    ops_->copy(n_, d, displacement_.data());
    return;
  }
  ops_->copy(n_, trial_.data(), displacement_.data());
  ops_->axpby(n_, T(-1), theta, T(1), displacement_.data());
}

template <class T>
StepReport Wrapper<T>::apply(T* theta, StepReport& report) {
  if (!std::isfinite(ops_->max_abs(n_, trial_.data()))) {
    refuse(report);
    return report;
  }
  ops_->copy(n_, trial_.data(), theta);
  commit(displacement_.data());
  ++steps_;
  return report;
}

template <class T>
void Wrapper<T>::refuse(StepReport& report) const {
  report.status = StepStatus::not_finite;
  report.loss_after = report.loss_before;
  report.message = fmt::format("{}: the step is not finite; parameters unchanged", name_);
}

template <class T>
Queueing Wrapper<T>::announce(Objective<T>& objective, const T*, std::vector<std::uintptr_t>& key) {
  make_room(objective);
  key.push_back(starts_);
  return inner_->queued()->announce(objective, trial_.data(), key);
}

template <class T>
void Wrapper<T>::next(std::vector<double>& numbers) {
  inner_->queued()->next(numbers);
  add_numbers(numbers);
  ++steps_;
}

template <class T>
void Wrapper<T>::launch(Objective<T>& objective, T* theta, DevicePlaces& at) {
  T *trial = trial_.data(), *d = displacement_.data();
  ops_->copy(n_, theta, trial);
  inner_->queued()->launch(objective, trial, at);
  double *squares = at.results(1), *of_trial = at.results(2);
  const std::uint64_t check = at.check();
  ops_->copy(n_, inner_->displacement(), d);
  change_on_device(theta, d, at);
  ops_->copy(n_, theta, trial);
  ops_->axpby(n_, T(1), d, T(1), trial);
  ops_->dots_on_device(1, n_, d, n_, d, n_, squares);
  ops_->norms_on_device(n_, trial, of_trial);
  ops_->for_each(1, 1, CheckFinite<T>{at.flags(), of_trial + 1, 1, check});
  ops_->for_each(1, n_, Guarded<Convert<T, T>>{at.go(), {trial, theta}});
  commit_under(d, at.go());
}

template <class T>
void Wrapper<T>::settle(StepRecord& record, StepReport& report) {
  inner_->queued()->settle(record, report);
  const double squares = *record.places.results(1);
  record.places.results(2);
  const bool failed = record.places.check() == record.failed, before = report.status != StepStatus::accepted;
  steps_ -= record.skipped + (failed || before ? 1 : 0);
  StepReport nobody;
  const double inner_norm = report.step_norm;
  const bool changed = tell_change(record.places, before ? nobody : report);
  if (before) return;
  if (changed) {
    report.metrics.emplace_back("step_norm_before_" + kind_, inner_norm);
    report.step_norm = std::sqrt(squares);
  }
  if (failed) refuse(report);
}

template class Wrapper<float>;
template class Wrapper<double>;

}  // namespace hso::detail
