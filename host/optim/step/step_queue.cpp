// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/optim/step_queue.hpp"

#include "optim/step/device_queue.hpp"

namespace hso {

template <class T>
StepQueue<T>::StepQueue(Context& context, Optimizer<T>& optimizer)
    : optimizer_(optimizer), queue_(std::make_unique<detail::DeviceQueue<T>>(context)) {}
template <class T>
StepQueue<T>::~StepQueue() = default;

template <class T>
void StepQueue<T>::push(Objective<T>& objective, T* theta) {
  const detail::InUse in_use(queue_->context());
  if (outcome_.refused) return;
  detail::QueuedStep<T>* method = optimizer_.queued();
  if (method != nullptr && queue_->push(*method, objective, theta)) return;
  settle();  // the host decides about this one: not before it knows about those that are queued
  if (outcome_.refused) return;
  if (before_host_step) before_host_step();
  outcome_.report = optimizer_.step(objective, theta);
  outcome_.refused = outcome_.report.status != StepStatus::accepted;
  ++outcome_.taken;
}

template <class T>
void StepQueue<T>::settle() {
  detail::QueuedStep<T>* method = optimizer_.queued();
  if (method == nullptr) return;
  auto [taken, refused, report] = queue_->look(*method);
  if (taken == 0) return;
  outcome_ = {outcome_.taken + taken, refused, std::move(report)};
}

template <class T>
typename StepQueue<T>::Outcome StepQueue<T>::look() {
  const detail::InUse in_use(queue_->context());
  settle();
  return std::exchange(outcome_, {});
}

template <class T>
bool StepQueue<T>::glance() {
  const detail::InUse in_use(queue_->context());
  return outcome_.refused || queue_->glance();
}

template class StepQueue<float>;
template class StepQueue<double>;

}  // namespace hso
