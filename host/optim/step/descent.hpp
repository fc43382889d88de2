// SPDX-License-Identifier: Apache-2.0
//
// What every method that steps without trials shares: evaluate, form the step, check that everything is finite, and
// only then touch theta. Here the host checks; queued_descent.hpp has the device check.
#pragma once

#include "optim/step/method.hpp"

namespace hso::detail {

template <class T>
class Descent : public Method<T> {
 public:
  using Method<T>::Method;
  StepReport step(Objective<T>& objective, T* theta) override;
  const T* displacement() const override { return this->own_step(); }

 protected:
  /// Value and gradient; a method that needs curvature at the same point takes it here.
  virtual double evaluate(Objective<T>& objective, const T* theta, T* gradient) {
    return objective.gradient(theta, gradient);
  }
  /// step := what is added to theta, from the gradient. State that must not change
  /// when the step is refused belongs to `commit`. A status other than accepted, with a message that says why, refuses.
  virtual void propose(Objective<T>& objective, const T* gradient, T* step, StepReport& report) = 0;
  virtual void commit(Ops<T>&) {}
};

}  // namespace hso::detail
