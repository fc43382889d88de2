// SPDX-License-Identifier: Apache-2.0
#include "optim/step/method.hpp"

#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"

namespace hso::detail {

void require_option(bool ok, const char* optimizer, const char* option, double value, const char* expected) {
  if (!ok)
    throw UsageError(
        fmt::format("optimizer {}: {} = {}, expected {}", optimizer, option, unsigned_nan(value), expected));
}

template <class T>
void Method<T>::make_room(Objective<T>& objective) {
  Ops<T>& ops = objective.context().template ops<T>();
  if (ready_ && n_ == objective.dimension() && ops_ == &ops) return;
  ready_ = false;  // until nothing has thrown
  n_ = objective.dimension();
  ops_ = &ops;
  for (Buffer<T>* b : {&gradient_, &step_}) *b = Buffer<T>(objective.context(), n_);
  start(objective);
  ready_ = true;
}

template <class T>
void Method<T>::visit_state(StateVisitor& state, Objective<T>* coming) {
  if (!state.started(ready_)) {
    ready_ = false;
    return;
  }
  if (state.reads()) make_room(*coming);
  visit_method(state, coming);
}

template <class T>
StepReport& Method<T>::refuse(StepReport& report, StepStatus status, const std::string& why) const {
  report.status = status;
  report.message = fmt::format("{}: {}; parameters unchanged", name_, why);
  return report;
}

template <class T>
StepReport& Method<T>::refuse_point(StepReport& report) const {
  return refuse(report, StepStatus::not_finite,
                fmt::format("loss {} or its gradient is not finite", unsigned_nan(report.loss_before)));
}

template class Method<float>;
template class Method<double>;

}  // namespace hso::detail
