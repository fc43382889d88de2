// SPDX-License-Identifier: Apache-2.0
//
// Value and gradient of one objective with the curvature of another: a curvature batch apart from the gradient batch.
//
//   NetworkObjective<T> loss(...), curvature(...);       the same network and data
//   SeparateCurvature<T> f(loss, curvature);
//   loss.select(gradient_rows);                          curvature.select(few_rows);
//   optimizer->step(f, theta);                           steps are judged by `loss`, on the gradient's rows
#pragma once

#include <memory>

#include "hsogpu/objective.hpp"

namespace hso {

template <class T>
class SeparateCurvature final : public Objective<T> {
 public:
  /// Keeps references to both. InputError when the dimensions differ.
  SeparateCurvature(Objective<T>& loss, Objective<T>& curvature);
  Objective<T>& loss() const { return loss_; }
  Objective<T>& of_curvature() const { return curvature_; }
  Context& context() const override { return loss_.context(); }
  Index dimension() const override { return loss_.dimension(); }
  std::vector<ParameterSlice> layout() const override { return loss_.layout(); }
  double value(const T* theta) override { return loss_.value(theta); }
  double gradient(const T* theta, T* g) override { return loss_.gradient(theta, g); }
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override;
  typename Objective<T>::Linearized linearize(const T* theta, T* g, Curvature kind) override;

 private:
  Objective<T>&loss_, &curvature_;
};

}  // namespace hso
