// SPDX-License-Identifier: Apache-2.0
//
// The loop of every method that judges its steps by the loss, and the roles in it:
//
//   the point      evaluate   value and gradient at theta, and the curvature there where the method uses one
//   direction      prepare    once a step: what all trials share
//                  propose    a step from gradient and curvature
//   globalization  move       tries points along it, and moves theta to one that is good enough
//   damping        retry      after a trial that was refused: what the next one does otherwise (damping.hpp has rules)
//
// Each role that cannot do its part says why, and theta stays.
#pragma once

#include <fmt/format.h>

#include <limits>

#include "optim/step/method.hpp"
#include "optim/step/queued_point.hpp"

namespace hso::detail {

/// One step, as the roles see it.
template <class T>
struct Step {
  Objective<T>& objective;
  T* theta;
  StepReport report{};
  std::unique_ptr<LinearOperator<T>> curvature{};  ///< at theta; null where the method has no use for it
  int values = 0;                                  ///< evaluations of the value alone
};

/// Where results come late: when the host looks at the loss and the gradient's norm. Later is for methods that a
/// gradient that is not finite leaves as they were, or, behind `prepare`, that `refused` puts right.
enum class Look { before_prepare, behind_prepare, behind_propose };

template <class T>
class JudgedStep : public Method<T> {
 public:
  using Method<T>::Method;
  bool full_batch() const override { return true; }
  StepReport step(Objective<T>& objective, T* theta) final;

 protected:
  /// As Method's `start`; trial() and point() come behind it.
  virtual void begin(Objective<T>& objective) = 0;
  /// Of point(), beside the value.
  virtual Index numbers() const { return 1; }

  /// Queues value and gradient in point(), first g'g.
  virtual void evaluate(Step<T>& s) {
    point_->queue(s.objective, s.theta, this->gradient(), {{this->gradient(), this->gradient()}});
  }
  /// The same with the curvature at theta.
  void linearize(Step<T>& s, Curvature kind);
  /// loss_before and gradient_norm from what `evaluate` queued.
  virtual void read_point(StepReport& report);
  virtual Look looks() const { return Look::before_prepare; }
  /// False: `prepare` knows what to do where the gradient is zero.
  virtual bool refuses_zero_gradients() const { return true; }

  /// A reason counts as `singular` unless it comes with another status.
  virtual std::string prepare(Step<T>&) { return {}; }
  /// own_step() := what is to be added to theta.
  virtual std::string propose(Step<T>& s) = 0;
  virtual std::string move(Step<T>& s) = 0;
  /// At most; `move` may count the points that it tries in place of the proposals.
  virtual int max_trials() const { return 1; }
  /// False: another trial would be the same.
  virtual bool retry(Step<T>&) { return false; }
  /// theta was moved; every trial was refused.
  virtual void taken(StepReport&) {}
  virtual void refused(Step<T>&) {}
  /// What the report says where every trial was refused, `last` of the last one.
  virtual std::string failure(const StepReport&, const std::string& last) const { return last; }

  T* trial() { return trial_.data(); }
  /// trial() := theta + length step
  const T* trial_at(const Step<T>& s, const T* step, double length);
  /// The value there.
  double value_at(Step<T>& s, const T* step, double length) {
    ++s.values;
    return s.objective.value(trial_at(s, step, length));
  }
  QueuedPoint<T>& point() { return *point_; }
  /// How far rounding may move a value of this size.
  static double rounding_of(double value) { return 10 * std::numeric_limits<T>::epsilon() * std::fabs(value); }

  /// `prepare` has succeeded since `begin`.
  bool prepared_ = false;

 private:
  void start(Objective<T>& objective) final;
  bool refuses_point(StepReport& report);
  Buffer<T> trial_;
  std::unique_ptr<QueuedPoint<T>> point_;
};

}  // namespace hso::detail
