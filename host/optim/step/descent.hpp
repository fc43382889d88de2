// SPDX-License-Identifier: Apache-2.0
//
// What every method that steps without trials shares: evaluate, form the step, check that everything is finite, and
// only then touch theta. Here the host checks; queued_descent.hpp has the device check.
#pragma once

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/optim/optimizer.hpp"

namespace hso::detail {

/// UsageError names the optimizer and option unless `ok`.
void require_option(bool ok, const char* optimizer, const char* option, double value, const char* expected);

template <class T>
class Descent : public Optimizer<T> {
 public:
  explicit Descent(std::string name) : name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  StepReport step(Objective<T>& objective, T* theta) override;
  const T* displacement() const override { return step_.data(); }
  void visit_state(StateVisitor& state, Objective<T>* coming) final;
  Index bytes(Context&, const ParameterLayout& layout) const override {
    return checked_multiply((2 + vectors()) * static_cast<Index>(sizeof(T)), layout.n);
  }

 protected:
  /// Of the method's own, beside gradient and step; what steps leave for the next ones twice, for a step back.
  virtual Index vectors() const { return 6; }
  /// The state of the method before the first step.
  virtual void start(Objective<T>&) {}
  /// Value and gradient; a method that needs curvature at the same point takes it here.
  virtual double evaluate(Objective<T>& objective, const T* theta, T* gradient) {
    return objective.gradient(theta, gradient);
  }
  /// step := what is added to theta, from the gradient. State that must not change
  /// when the step is refused belongs to `commit`. A status other than accepted, with a message that says why, refuses.
  virtual void propose(Objective<T>& objective, const T* gradient, T* step, StepReport& report) = 0;
  virtual void commit(Ops<T>&) {}
  /// The method's own members that steps leave for the next ones; where they are read, `start` came before.
  virtual void visit_method(StateVisitor& state) = 0;

  /// Gradient, step and the method's own state where there are none yet, or those of another device or size.
  void make_room(Objective<T>& objective);
  T* own_gradient() { return gradient_.data(); }
  T* own_step() { return step_.data(); }
  /// What a report says where loss or gradient are not finite, and where the step is not.
  void refuse_point(StepReport& report) const;
  void refuse_step(StepReport& report) const;

 private:
  std::string name_;
  const Ops<T>* ops_ = nullptr;  ///< of the device that the state lives on; null: there is none yet
  Buffer<T> gradient_, step_;
};

}  // namespace hso::detail
