// SPDX-License-Identifier: Apache-2.0
//
// Objectives around objectives: a penalty, a mask, a bound on the gradient. Methods that read a network's layers (kfac,
// ekfac, sophia with estimator gnb) look for the NetworkObjective inside of all of them, and ask each for what it makes
// of the network's own value and gradient.
#pragma once

#include "hsogpu/network_objective.hpp"

namespace hso {

/// The same theta, tensors and device. What is not overridden is that of the objective inside.
template <class T>
class ObjectiveAround : public Objective<T> {
 public:
  /// Keeps the reference.
  explicit ObjectiveAround(Objective<T>& inside) : inside_(inside) {}
  Objective<T>& inside() const { return inside_; }
  /// Turns the value and the gradient [n] of inside() at theta into this objective's; returns the value.
  virtual double finish(const T* theta, double value, T* gradient) = 0;

  Context& context() const override { return inside_.context(); }
  Index dimension() const override { return inside_.dimension(); }
  std::vector<ParameterSlice> layout() const override { return inside_.layout(); }
  double value(const T* theta) override { return inside_.value(theta); }
  double gradient(const T* theta, T* g) override { return finish(theta, inside_.gradient(theta, g), g); }
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override {
    return inside_.curvature(theta, kind);
  }
  typename Objective<T>::Linearized linearize(const T* theta, T* g, Curvature kind) override {
    auto out = inside_.linearize(theta, g, kind);
    out.value = finish(theta, out.value, g);
    return out;
  }

 private:
  Objective<T>& inside_;
};

/// The network objective that this is or that is inside of it; null when there is none.
template <class T>
NetworkObjective<T>* network_inside(Objective<T>& objective);

/// The value, and in g the gradient, of `objective`, from those of network_inside(objective) at theta.
template <class T>
double finish_gradient(Objective<T>& objective, const T* theta, double value, T* g);

}  // namespace hso
