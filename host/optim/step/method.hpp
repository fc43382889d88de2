// SPDX-License-Identifier: Apache-2.0
//
// What every method has, judged by the loss (judged_step.hpp) or not (descent.hpp): a name, gradient and step in device
// memory, state that is visited once there is some, and refusals, which leave theta as it was.
#pragma once

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/optim/optimizer.hpp"

namespace hso::detail {

/// UsageError names the optimizer and option unless `ok`.
void require_option(bool ok, const char* optimizer, const char* option, double value, const char* expected);

template <class T>
class Method : public Optimizer<T> {
 public:
  explicit Method(std::string name) : name_(std::move(name)) {}
  const std::string& name() const final { return name_; }
  void visit_state(StateVisitor& state, Objective<T>* coming) final;
  Index bytes(Context&, const ParameterLayout& layout) const override {
    return checked_multiply((2 + vectors()) * static_cast<Index>(sizeof(T)), layout.n);
  }

 protected:
  /// Of the method's own, beside gradient and step; what steps leave for the next ones twice, for a step back.
  virtual Index vectors() const { return 6; }
  /// Room and state of the method's own before the first step, for an objective of another size or device again.
  virtual void start(Objective<T>&) {}
  /// The method's own members that steps leave for the next ones; where they are read, `start` came before.
  virtual void visit_method(StateVisitor& state, Objective<T>* coming) = 0;

  /// Gradient, step and the method's own state where there are none yet, or those of another device or size.
  void make_room(Objective<T>& objective);
  /// The report of a step that was not taken.
  StepReport& refuse(StepReport& report, StepStatus status, const std::string& why) const;
  /// The same for a loss or gradient that is not finite.
  StepReport& refuse_point(StepReport& report) const;

  Ops<T>& ops() { return *ops_; }
  Index n() const { return n_; }
  T* gradient() { return gradient_.data(); }
  const T* gradient() const { return gradient_.data(); }
  T* own_step() { return step_.data(); }
  const T* own_step() const { return step_.data(); }
  void swap_step(Buffer<T>& other) { std::swap(step_, other); }

 private:
  std::string name_;
  bool ready_ = false;
  Index n_ = -1;
  Ops<T>* ops_ = nullptr;
  Buffer<T> gradient_, step_;
};

}  // namespace hso::detail
