// SPDX-License-Identifier: Apache-2.0
#include "optim/wrapper.hpp"

#include <fmt/format.h>

#include <cmath>

#include "hsogpu/error.hpp"

namespace hso::detail {

void require_argument(bool ok, const char* wrapper, const char* argument, double value, const char* expected) {
  if (!ok) throw UsageError(fmt::format("wrapper {}: {} = {}, expected {}", wrapper, argument, value, expected));
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
    report.status = StepStatus::not_finite;
    report.loss_after = report.loss_before;
    report.message = fmt::format("{}: the step is not finite; parameters unchanged", name_);
    return report;
  }
  ops_->copy(n_, trial_.data(), theta);
  commit(displacement_.data());
  ++steps_;
  return report;
}

template class Wrapper<float>;
template class Wrapper<double>;

}  // namespace hso::detail
