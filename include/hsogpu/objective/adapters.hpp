// SPDX-License-Identifier: Apache-2.0
//
// Objectives made of other objectives.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "hsogpu/objective/mask.hpp"
#include "hsogpu/objective/network_objective.hpp"

namespace hso {

// ---- what adapters share ----
//
// A penalty, a mask, a bound on the gradient: objectives around an objective. Methods that read a network's layers find
// it through all of them (Objective::network), and each says what it makes of the network's value and gradient.

/// The same theta, tensors and device. What is not overridden is that of the objective inside.
template <class T>
class ObjectiveAdapter : public Objective<T> {
 public:
  /// Keeps the reference.
  explicit ObjectiveAdapter(Objective<T>& inside) : inside_(inside) {}
  Objective<T>& inside() const { return inside_; }
  /// Turns the value and the gradient [n] of inside() at theta into this objective's; returns the value.
  virtual double finish(const T* theta, double value, T* gradient) = 0;

  NetworkObjective<T>* network() override { return inside_.network(); }
  double finish_gradient(const T* theta, double value, T* g) override {
    return finish(theta, inside_.finish_gradient(theta, value, g), g);
  }
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

// ---- a mask, and an l1 penalty ----
//
// Optimisation of what a mask has left, with any method. P = diag(mask), 1 kept and 0 removed:
//
//   MaskedObjective<T> masked(f, mask, {.l1 = 1e-4});    F(theta) = f(P theta) + l1 |P theta|_1
//   auto optimizer = make_masked<T>(make_optimizer<T>("adam"), mask);
//   optimizer->step(masked, theta.data());               removed entries of theta are +0 after it
//
// The gradient is P g + l1 sign(P theta), where sign(0) = 0 (a subgradient: the entry of least size), the curvature
// P A P with A that of f at P theta; the l1 term has none. P A P is singular: methods that invert need damping or a
// policy that leaves small eigenvalues alone.
// The objective alone keeps the gradient and the curvature within the mask. Methods whose step mixes entries (muon,
// shampoo, soap, kfac) or that step where there is no gradient can still move removed entries: make_masked takes that
// back.

struct MaskedOptions {
  double l1 = 0;  ///< factor of |theta|_1, at least 0
};

template <class T>
class MaskedObjective final : public ObjectiveAdapter<T> {
 public:
  /// Keeps the reference to `inside` and a copy of the mask in device memory; an empty mask removes nothing.
  /// InputError for a mask of another size, UsageError for an l1 below 0 or not finite.
  MaskedObjective(Objective<T>& inside, const Mask& mask, const MaskedOptions& options = {});

  double finish(const T* theta, double value, T* gradient) override;
  double value(const T* theta) override;
  double gradient(const T* theta, T* g) override;
  /// P A P; to_dense and diagonal_block are those of A with rows and columns of removed entries set to 0. The factored
  /// kinds (kfac, ekfac, diagonal) are A itself at P theta: for preconditioners, which ask for their factors or
  /// entries.
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override;
  typename Objective<T>::Linearized linearize(const T* theta, T* g, Curvature kind) override;
  bool announce_gradient(std::vector<std::uintptr_t>& key, Index products, Curvature kind) override;
  void gradient_on_device(const T* theta, T* g, double* value) override;
  void product_on_device(Curvature kind, const T* v, T* hv) override;

  /// l1 |P theta|_1
  double penalty(const T* theta);
  /// Device bytes with n parameters: the mask, a point, and scratch of a product and of signs.
  static Index bytes(Index n);

 private:
  const T* at_kept(const T* theta);
  double penalty_at(const T* point);
  double finish_at(const T* point, double value, T* gradient);
  std::unique_ptr<LinearOperator<T>> masked(std::unique_ptr<LinearOperator<T>> a, Curvature kind) const;

  MaskedOptions options_;
  std::shared_ptr<const Buffer<std::uint8_t>> kept_;  ///< operators share it; null: nothing is removed
  Buffer<T> point_;                                   ///< P theta
};

// ---- curvature from other rows ----
//
// Value and gradient of one objective with the curvature of another: a curvature batch apart from the gradient batch.
//
//   NetworkObjective<T> loss(...), curvature(...);       the same network and data
//   SubsampledCurvature<T> f(loss, curvature);
//   loss.select(gradient_rows);                          curvature.select(few_rows);
//   optimizer->step(f, theta);                           steps are judged by `loss`, on the gradient's rows

/// Value and gradient of `loss`, curvature of `curvature`.
template <class T>
class SubsampledCurvature final : public Objective<T> {
 public:
  /// Keeps references to both. InputError when the dimensions differ.
  SubsampledCurvature(Objective<T>& loss, Objective<T>& curvature);
  Objective<T>& loss() const { return loss_; }
  Objective<T>& curvature_source() override { return curvature_; }
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
