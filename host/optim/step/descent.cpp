// SPDX-License-Identifier: Apache-2.0
#include "optim/step/descent.hpp"

#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"

namespace hso::detail {

void require_option(bool ok, const char* optimizer, const char* option, double value, const char* expected) {
  if (!ok)
    throw UsageError(
        fmt::format("optimizer {}: {} = {}, expected {}", optimizer, option, unsigned_nan(value), expected));
}

template <class T>
void Descent<T>::make_room(Objective<T>& objective) {
  const auto& ops = objective.context().template ops<T>();
  const Index n = objective.dimension();
  if (gradient_.size() == n && ops_ == &ops) return;
  ops_ = nullptr;  // until nothing has thrown
  gradient_ = Buffer<T>(objective.context(), n);
  step_ = Buffer<T>(objective.context(), n);
  start(objective);
  ops_ = &ops;
}

template <class T>
void Descent<T>::visit_state(StateVisitor& state, Objective<T>* coming) {
  if (!state.started(ops_ != nullptr)) {
    ops_ = nullptr;
    return;
  }
  if (state.reads()) make_room(*coming);
  visit_method(state);
}

template <class T>
void Descent<T>::refuse_point(StepReport& report) const {
  report.status = StepStatus::not_finite;
  report.message = fmt::format("{}: loss {} or its gradient is not finite; parameters unchanged", name_,
                               unsigned_nan(report.loss_before));
}

template <class T>
void Descent<T>::refuse_step(StepReport& report) const {
  report.status = StepStatus::not_finite;
  report.message = fmt::format("{}: the step is not finite; parameters unchanged", name_);
}

template <class T>
StepReport Descent<T>::step(Objective<T>& objective, T* theta) {
  auto& ops = objective.context().template ops<T>();
  const Index n = objective.dimension();
  make_room(objective);
  StepReport report;
  report.trials = 0;
  report.loss_before = evaluate(objective, theta, gradient_.data());
  report.loss_after = report.loss_before;
  report.gradient_norm = ops.nrm2(n, gradient_.data());
  if (!std::isfinite(report.loss_before) || !std::isfinite(ops.max_abs(n, gradient_.data()))) {
    refuse_point(report);
    return report;
  }
  propose(objective, gradient_.data(), step_.data(), report);
  if (report.status != StepStatus::accepted) {
    report.message = name_ + ": " + report.message + "; parameters unchanged";
    return report;
  }
  if (!std::isfinite(ops.max_abs(n, step_.data()))) {
    refuse_step(report);
    return report;
  }
  report.step_norm = ops.nrm2(n, step_.data());
  ops.axpby(n, T(1), step_.data(), T(1), theta);
  commit(ops);
  return report;
}

template class Descent<float>;
template class Descent<double>;

}  // namespace hso::detail
