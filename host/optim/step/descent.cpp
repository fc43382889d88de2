// SPDX-License-Identifier: Apache-2.0
#include "optim/step/descent.hpp"

#include <cmath>

namespace hso::detail {

template <class T>
StepReport Descent<T>::step(Objective<T>& objective, T* theta) {
  this->make_room(objective);
  Ops<T>& ops = this->ops();
  const Index n = this->n();
  T *g = this->gradient(), *step = this->own_step();
  StepReport report;
  report.trials = 0;
  report.loss_before = report.loss_after = evaluate(objective, theta, g);
  report.gradient_norm = ops.nrm2(n, g);
  if (!std::isfinite(report.loss_before) || !std::isfinite(ops.max_abs(n, g))) return this->refuse_point(report);
  propose(objective, g, step, report);
  if (report.status != StepStatus::accepted) return this->refuse(report, report.status, std::string(report.message));
  if (!std::isfinite(ops.max_abs(n, step)))
    return this->refuse(report, StepStatus::not_finite, "the step is not finite");
  report.step_norm = ops.nrm2(n, step);
  ops.axpby(n, T(1), step, T(1), theta);
  commit(ops);
  return report;
}

template class Descent<float>;
template class Descent<double>;

}  // namespace hso::detail
