// SPDX-License-Identifier: Apache-2.0
#include "optim/step/device_queue.hpp"

#include <algorithm>

#include "hsogpu/optim/step_queue.hpp"

namespace hso::detail {

template <class T>
DeviceQueue<T>::DeviceQueue(Context& context)
    : context_(context),
      ops_(context.ops<T>()),
      flags_(context, 1),
      memory_(context, kStepNumbers + kStepResults),
      record_(context, KeepRecord<T>::kHeader + memory_.size()),
      recorded_(context.make_recorded()),
      readback_(context.make_readback(record_.size())) {
  for (Buffer<double>* b : {&memory_, &record_}) context.ops<double>().fill(b->size(), 0, b->data());
  reset();
}

template <class T>
void DeviceQueue<T>::reset() {
  ops_.for_each(1, 1, ResetFlags<T>{flags_.data()});
  queued_ = looked_at_ = 0;
  posted_ = false;
}

template <class T>
void DeviceQueue<T>::store(Span<const double> numbers) {
  const auto count = static_cast<Index>(numbers.size());
  if (count > kStepNumbers) throw UsageError("queued step: more numbers than a step may have");
  Index first = 0;
  do {
    BeginStep<T> begin{flags_.data(), memory_.data() + first, std::min(count - first, BeginStep<T>::kNumbers), {}};
    std::copy_n(numbers.begin() + first, begin.count, begin.values);
    ops_.for_each(1, std::max<Index>(begin.count, 1), begin);
    first += begin.count;
  } while (first < count);
}

template <class T>
void DeviceQueue<T>::launch_step(QueuedStep<T>& method, Objective<T>& objective, T* theta) {
  DevicePlaces places(flags_.data(), memory_.data());
  method.launch(objective, theta, places);
  ops_.for_each(1, places.used(), KeepRecord<T>{flags_.data(), memory_.data(), places.used(), record_.data()});
}

template <class T>
bool DeviceQueue<T>::push(QueuedStep<T>& method, Objective<T>& objective, T* theta) {
  key_.assign({reinterpret_cast<std::uintptr_t>(theta), reinterpret_cast<std::uintptr_t>(&method)});
  const Queueing how = method.announce(objective, theta, key_);
  if (how == Queueing::host) return false;
  numbers_.clear();
  method.next(numbers_);
  store(numbers_);
  ++queued_;
  const auto launch = [&] { launch_step(method, objective, theta); };
  how == Queueing::recorded ? recorded_->run(key_, launch) : launch();
  return true;
}

template <class T>
typename DeviceQueue<T>::Outcome DeviceQueue<T>::look(QueuedStep<T>& method) {
  Outcome out;
  if (queued_ == looked_at_) return out;
  readback_->post(record_.data(), record_.size());
  const Span<const double> seen = readback_->values();
  const auto taken = static_cast<Index>(seen[0]);
  StepRecord record{
      {nullptr, seen.data() + KeepRecord<T>::kHeader}, static_cast<std::uint64_t>(seen[1]), queued_ - taken};
  out.taken = taken - looked_at_;
  out.refused = record.failed != 0;
  method.settle(record, out.report);
  queued_ = looked_at_ = taken;
  posted_ = false;
  if (out.refused) reset();
  return out;
}

template <class T>
bool DeviceQueue<T>::glance() {
  const bool refused = posted_ && readback_->values()[1] != 0;
  readback_->post(record_.data(), KeepRecord<T>::kHeader);
  posted_ = true;
  return refused;
}

template <class T>
DevicePlaces DeviceQueue<T>::begin(Span<const double> numbers) {
  reset();
  store(numbers);
  return {flags_.data(), memory_.data()};
}

template <class T>
StepPlaces<const double> DeviceQueue<T>::read(const DevicePlaces& used) {
  host_.resize(static_cast<std::size_t>(used.used()));
  context_.to_host(memory_.data(), host_.data(), used.used() * static_cast<Index>(sizeof(double)));
  return {nullptr, host_.data()};
}

template class DeviceQueue<float>;
template class DeviceQueue<double>;

}  // namespace hso::detail

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
