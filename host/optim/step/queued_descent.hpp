// SPDX-License-Identifier: Apache-2.0
//
// Methods whose step is a fixed sequence of launches: the loss, the norms that say what is not finite and the decision
// to move theta stay on the device. One step is a queue of one that is looked at.
#pragma once

#include "optim/step/descent.hpp"
#include "optim/step/device_queue.hpp"

namespace hso::detail {

template <class T>
class QueuedDescent : public Descent<T>, public QueuedStep<T> {
 public:
  using Descent<T>::Descent;
  StepReport step(Objective<T>& objective, T* theta) override;
  QueuedStep<T>* queued() override { return this; }

  Queueing announce(Objective<T>& objective, const T* theta, std::vector<std::uintptr_t>& key) override;
  void next(std::vector<double>& numbers) final;
  void launch(Objective<T>& objective, T* theta, DevicePlaces& at) override;
  void settle(StepRecord& record, StepReport& report) override;

 protected:
  /// Steps that were formed so far, and those of them that were taken: both count the coming one from `next` on.
  Index proposals() const { return proposals_; }
  Index taken() const { return taken_; }
  void start(Objective<T>& objective) final;
  void visit_method(StateVisitor& state, Objective<T>*) final;

  /// As Descent's, before the first step; the counts are zero then.
  virtual void begin(Objective<T>&) {}
  /// As Descent's visit_method, beside the counts.
  virtual void visit_own(StateVisitor& state) = 0;
  /// Announces the gradient, and whatever else the step asks of the objective. Queueing::host: this step is
  /// Descent::step's, with `evaluate` and `propose`.
  virtual Queueing announce_gradient(Objective<T>& objective, std::vector<std::uintptr_t>& key);
  /// What changes from step to step, for `at.numbers` in form.
  virtual void add_numbers(std::vector<double>&) const {}
  /// step := what is added to theta, by launches alone. State that must stay when the step is refused belongs to
  /// `commit`; what changes here does it under at.go().
  virtual void form(Objective<T>& objective, const T* theta, const T* g, T* step, DevicePlaces& at) = 0;
  /// Under *go.
  virtual void commit_under(Ops<T>&, const std::uint64_t* /*go*/) {}
  /// From the results that form has, in the same order; `report` is null where there was no step to tell of.
  virtual void tell(StepPlaces<const double>&, StepReport* /*report*/) const {}

  /// For `propose` of a step that the host decides about: places with these numbers, and a flag that lets commit_under
  /// act.
  DevicePlaces decide_now(Context& context, const std::vector<double>& numbers);
  /// The same with form, and what that has to tell.
  void form_now(Objective<T>& objective, const T* theta, const T* g, T* step, StepReport& report);
  void commit(Ops<T>& ops) override;

  /// By default there are none: announce_gradient leaves no step to the host.
  void propose(Objective<T>&, const T*, T*, StepReport&) override {}

 private:
  DeviceQueue<T>& queue(Context& context);

  std::unique_ptr<DeviceQueue<T>> queue_;  ///< of steps that are taken one by one
  Index proposals_ = 0, taken_ = 0;
  Index numbers_ = 0;          ///< of a step
  std::uintptr_t starts_ = 0;  ///< part of keys: every start makes other buffers
};

/// y = a x + b y under *go.
template <class T>
void axpby_under(Ops<T>& ops, const std::uint64_t* go, Index n, T a, const T* x, T b, T* y) {
  ops.for_each(1, n, Guarded<Axpby<T>>{go, {a, x, n, b, y, n}});
}

/// to = from, to the bit, under *go.
template <class T>
Guarded<Convert<T, T>> copy_under(const std::uint64_t* go, const T* from, T* to) {
  return {go, {from, to}};
}

}  // namespace hso::detail
