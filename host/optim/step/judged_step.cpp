// SPDX-License-Identifier: Apache-2.0
#include "optim/step/judged_step.hpp"

#include "objective/network_curvature.hpp"

namespace hso::detail {

template <class T>
void JudgedStep<T>::start(Objective<T>& objective) {
  prepared_ = false;
  trial_ = Buffer<T>(objective.context(), this->n());
  begin(objective);
  point_ = std::make_unique<QueuedPoint<T>>(objective.context(), numbers());
}

template <class T>
void JudgedStep<T>::linearize(Step<T>& s, Curvature kind) {
  T* g = this->gradient();
  s.curvature = linearize_on_device(s.objective, s.theta, g, kind, point_->begin());
  if (s.curvature == nullptr) {
    auto at_once = s.objective.linearize(s.theta, g, kind);
    point_->set_value(at_once.value);
    s.curvature = std::move(at_once.curvature);
  }
  point_->dot(this->ops(), this->n(), g, g);
}

template <class T>
void JudgedStep<T>::read_point(StepReport& report) {
  report.loss_before = report.loss_after = point_->value();
  report.gradient_norm = std::sqrt(point_->numbers()[0]);
}

template <class T>
bool JudgedStep<T>::refuses_point(StepReport& report) {
  read_point(report);
  if (!std::isfinite(report.loss_before) || !std::isfinite(report.gradient_norm))
    this->refuse_point(report);
  else if (report.gradient_norm == 0 && refuses_zero_gradients())
    this->refuse(report, StepStatus::rejected, "the gradient is zero");
  return report.status != StepStatus::accepted;
}

template <class T>
const T* JudgedStep<T>::trial_at(const Step<T>& s, const T* step, double length) {
  this->ops().copy(this->n(), s.theta, trial_.data());
  this->ops().axpby(this->n(), static_cast<T>(length), step, T(1), trial_.data());
  return trial_.data();
}

template <class T>
StepReport JudgedStep<T>::step(Objective<T>& objective, T* theta) {
  this->make_room(objective);
  Step<T> s{objective, theta};
  StepReport& report = s.report;
  report.trials = 0;
  evaluate(s);
  point_->post();
  const bool late = objective.context().is_cuda() && !point_->is_known_not_finite();
  const Look look = late ? looks() : Look::before_prepare;
  if (look == Look::before_prepare && refuses_point(report)) return report;
  const std::string why = prepare(s);
  if (look == Look::behind_prepare && refuses_point(report)) {
    refused(s);
    return report;
  }
  if (!why.empty())
    return this->refuse(report, report.status == StepStatus::accepted ? StepStatus::singular : report.status, why);
  prepared_ = true;
  std::string last;
  do {
    ++report.trials;
    last = propose(s);
    if (look == Look::behind_propose && report.trials == 1 && refuses_point(report)) return report;
    if (last.empty()) last = move(s);
    if (last.empty()) {
      taken(report);
      return report;
    }
  } while (retry(s) && report.trials < max_trials());
  refused(s);
  return this->refuse(report, report.status == StepStatus::accepted ? StepStatus::rejected : report.status,
                      failure(report, last));
}

template class JudgedStep<float>;
template class JudgedStep<double>;

}  // namespace hso::detail
