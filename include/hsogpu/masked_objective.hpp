// SPDX-License-Identifier: Apache-2.0
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
#pragma once

#include "hsogpu/mask.hpp"
#include "hsogpu/objective_around.hpp"
#include "hsogpu/optimizer.hpp"

namespace hso {

struct MaskedOptions {
  double l1 = 0;  ///< factor of |theta|_1, at least 0
};

template <class T>
class MaskedObjective final : public ObjectiveAround<T> {
 public:
  /// Keeps the reference to `inside` and a copy of the mask in device memory; an empty mask removes nothing.
  /// InputError for a mask of another size, UsageError for an l1 below 0 or not finite.
  MaskedObjective(Objective<T>& inside, const Mask& mask, const MaskedOptions& options = {});

  double finish(const T* theta, double value, T* gradient) override;
  double value(const T* theta) override;
  double gradient(const T* theta, T* g) override;
  /// P A P; to_dense and diagonal_block are those of A with rows and columns of removed entries set to 0. The factored
  /// kinds (kfac, ekfac, diagonal) are A itself at P theta: preconditioners, which look inside.
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

/// `optimizer` on what the mask has left. Each step starts at P theta, and of an accepted one the removed entries,
/// displacement() included, are put back to +0: what K-FAC makes of the gradient, for one, is masked after its
/// preconditioning. A refused step leaves every bit of theta. The report is the inner one with the norm of the masked
/// step; its losses are those of a MaskedObjective where the step is taken on one. Takes 2 n numbers and n bytes.
/// InputError at the first step on an objective of another size, UsageError for a null optimizer; an empty mask gives
/// the optimizer back.
template <class T>
std::unique_ptr<Optimizer<T>> make_masked(std::unique_ptr<Optimizer<T>> optimizer, const Mask& mask);

}  // namespace hso
