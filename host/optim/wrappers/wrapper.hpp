// SPDX-License-Identifier: Apache-2.0
//
// What every wrapper shares: let the inner method step on a copy, take the displacement, change it, check it, apply it.
// Where inner method and wrapper allow, all of it can be queued: schedules, momentum, weight_decay and clip do; adam
// and clip_gradient read norms on the host, so that steps under them are taken one by one.
#pragma once

#include <functional>

#include "hsogpu/optim/wrappers.hpp"
#include "optim/step/queued_step.hpp"

namespace hso::detail {

template <class T>
class Wrapper : public Optimizer<T>, public QueuedStep<T> {
 public:
  /// `kind` is the wrapper's name in the table; name() is "inner+kind".
  Wrapper(std::unique_ptr<Optimizer<T>> inner, std::string kind);
  const std::string& name() const override { return name_; }
  bool full_batch() const override { return inner_->full_batch(); }
  bool dense() const override { return inner_->dense(); }
  const T* displacement() const override { return displacement_.data(); }
  StepReport step(Objective<T>& objective, T* theta) override;
  void visit_state(StateVisitor& state, Objective<T>* coming) final;
  QueuedStep<T>* queued() override { return queues() && inner_->queued() != nullptr ? this : nullptr; }
  Queueing announce(Objective<T>& objective, const T* theta, std::vector<std::uintptr_t>& key) override;
  void next(std::vector<double>& numbers) override;
  void launch(Objective<T>& objective, T* theta, DevicePlaces& at) override;
  void settle(StepRecord& record, StepReport& report) override;
  /// Trial point, displacement and two vectors at the most of the wrapper's own, twice for a step back, beside the
  /// inner method's.
  Index bytes(Context& context, const ParameterLayout& layout) const override {
    return inner_->bytes(context, layout) + checked_multiply(6 * static_cast<Index>(sizeof(T)), layout.n);
  }

 protected:
  /// State before the first step.
  virtual void start(Context&, Index /*n*/) {}
  virtual StepReport inner_step(Objective<T>& objective, T* theta) { return inner_->step(objective, theta); }
  /// d [n] is the displacement that is going to be added to theta; false when it stays as it is. State that must not
  /// change when the outcome is refused belongs to `commit`.
  virtual bool change(const T* theta, T* d, StepReport& report) = 0;
  virtual void commit(const T* /*d*/) {}
  /// The wrapper's own members that steps leave for the next ones, beside the count of steps.
  virtual void visit_own(StateVisitor&) = 0;

  /// The same for queued steps, by launches alone; what is below counts only where this is true.
  virtual bool queues() const { return false; }
  virtual void add_numbers(std::vector<double>&) const {}
  virtual void change_on_device(const T* /*theta*/, T* /*d*/, DevicePlaces&) {}
  /// From the same places; true when the displacement was changed.
  virtual bool tell_change(StepPlaces<const double>&, StepReport&) const { return false; }
  virtual void commit_under(const T* /*d*/, const std::uint64_t* /*go*/) {}

  Optimizer<T>& inner() { return *inner_; }
  Ops<T>& ops() { return *ops_; }
  Index n() const { return n_; }
  Index steps() const { return steps_; }  ///< accepted so far

 private:
  void make_room(Objective<T>& objective);
  void take_displacement(const T* theta);
  void refuse(StepReport& report) const;
  StepReport apply(T* theta, StepReport& report);

  std::unique_ptr<Optimizer<T>> inner_;
  std::string kind_, name_;
  Index n_ = -1, steps_ = 0;
  std::uintptr_t starts_ = 0;  ///< part of keys: every start makes other buffers
  Ops<T>* ops_ = nullptr;
  Buffer<T> trial_, displacement_;
};

/// A factor on the displacement, from the number of accepted steps.
using Schedule = std::function<double(double steps)>;

// Arguments in the order of the table, checked here: UsageError names the one that is out of range.
using Values = std::vector<double>;
Schedule warmup_schedule(const Values& v);
Schedule step_schedule(const Values& v);
Schedule exponential_schedule(const Values& v);
Schedule cosine_schedule(const Values& v);
Schedule linear_schedule(const Values& v);
Schedule one_cycle_schedule(const Values& v);

template <class T>
using Wrapped = std::unique_ptr<Optimizer<T>>;
template <class T>
Wrapped<T> wrap_momentum(Wrapped<T> inner, const Values& v);
template <class T>
Wrapped<T> wrap_adam(Wrapped<T> inner, const Values& v);
template <class T>
Wrapped<T> wrap_weight_decay(Wrapped<T> inner, const Values& v);
template <class T>
Wrapped<T> wrap_clip(Wrapped<T> inner, const Values& v);
template <class T>
Wrapped<T> wrap_clip_gradient(Wrapped<T> inner, const Values& v);
template <class T>
Wrapped<T> wrap_schedule(Wrapped<T> inner, const std::string& kind, Schedule factor);

/// UsageError "wrapper <wrapper>: <argument> = <value>, expected <expected>" unless `ok`.
void require_argument(bool ok, const char* wrapper, const char* argument, double value, const char* expected);

}  // namespace hso::detail
