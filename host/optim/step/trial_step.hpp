// SPDX-License-Identifier: Apache-2.0
//
// What the methods share that try points and judge them by the loss: value and gradient at theta, what is refused
// before anything is tried, and the trial points theta + t p.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "io/shown_text.hpp"
#include "optim/step/descent.hpp"
#include "optim/step/line_search.hpp"
#include "optim/step/queued_point.hpp"

namespace hso::detail {

template <class T>
class TrialStep : public Optimizer<T> {
 public:
  explicit TrialStep(std::string name) : name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  bool full_batch() const override { return true; }
  Index bytes(Context&, const ParameterLayout& layout) const override {
    return checked_multiply((3 + vectors()) * static_cast<Index>(sizeof(T)), layout.n);
  }

  void visit_state(StateVisitor& state, Objective<T>* coming) final {
    if (!state.started(ready_)) {
      ready_ = false;
      return;
    }
    if (state.reads()) make_room(*coming);
    visit_method(state);
  }

  StepReport step(Objective<T>& objective, T* theta) override {
    make_room(objective);
    StepReport report;
    report.trials = 0;
    evaluate(objective, theta, gradient_.data(), *start_);
    start_->post();
    report.loss_before = report.loss_after = start_->value();
    report.gradient_norm = std::sqrt(start_->numbers()[0]);
    if (!std::isfinite(report.loss_before) || !std::isfinite(report.gradient_norm))
      return refuse(report, StepStatus::not_finite,
                    fmt::format("loss {} or its gradient is not finite", unsigned_nan(report.loss_before)));
    if (report.gradient_norm == 0) return refuse(report, StepStatus::rejected, "the gradient is zero");
    if (const std::string why = advance(objective, theta, report); !why.empty())
      return refuse(report, StepStatus::rejected, why);
    return report;
  }

 protected:
  /// Of the method's own, beside gradient, direction and trial point.
  virtual Index vectors() const = 0;
  /// Buffers of the method's own, and its state before the first step.
  virtual void start(Objective<T>& objective) = 0;
  /// The method's own members that steps leave for the next ones; where they are read, `start` came before.
  virtual void visit_method(StateVisitor& state) = 0;
  /// Value, gradient and the square of its norm, and `more_numbers` that the method takes.
  virtual void evaluate(Objective<T>& objective, const T* theta, T* g, QueuedPoint<T>& point) {
    point.queue(objective, theta, g, {{g, g}});
  }
  virtual Index more_numbers() const { return 0; }
  /// Moves theta from loss_before and gradient() and fills the report, or leaves theta and says why.
  virtual std::string advance(Objective<T>& objective, T* theta, StepReport& report) = 0;

  Ops<T>& ops() { return *ops_; }
  Index n() const { return n_; }
  T* gradient() { return gradient_.data(); }
  T* direction() { return direction_.data(); }
  T* trial() { return trial_.data(); }
  /// What `evaluate` left.
  QueuedPoint<T>& start_point() { return *start_; }

  /// trial := theta + t direction
  const T* trial_at(const T* theta, double t) {
    ops_->copy(n_, theta, trial_.data());
    ops_->axpby(n_, static_cast<T>(t), direction_.data(), T(1), trial_.data());
    return trial_.data();
  }
  /// How far rounding may move a value of this size.
  static double rounding_of(double value) { return 10 * std::numeric_limits<T>::epsilon() * std::fabs(value); }

 private:
  void make_room(Objective<T>& objective) {
    if (ready_ && n_ == objective.dimension() && ops_ == &objective.context().template ops<T>()) return;
    ready_ = false;  // until nothing has thrown
    n_ = objective.dimension();
    ops_ = &objective.context().template ops<T>();
    start(objective);
    for (Buffer<T>* b : {&gradient_, &direction_, &trial_}) *b = Buffer<T>(objective.context(), n_);
    start_ = std::make_unique<QueuedPoint<T>>(objective.context(), 1 + more_numbers());
    ready_ = true;
  }
  StepReport refuse(StepReport& report, StepStatus status, const std::string& why) const {
    report.status = status;
    report.message = name_ + ": " + why + "; parameters unchanged";
    return report;
  }

  std::string name_;
  bool ready_ = false;
  Index n_ = -1;
  Ops<T>* ops_ = nullptr;
  Buffer<T> gradient_, direction_, trial_;
  std::unique_ptr<QueuedPoint<T>> start_;
};

}  // namespace hso::detail
