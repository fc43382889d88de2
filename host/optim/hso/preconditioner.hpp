// SPDX-License-Identifier: Apache-2.0
//
// Preconditioners of conjugate gradients on (A + delta I) x = -g, from the layers of a network:
//   diagonal   (D + delta)^-0.75, D the exact diagonal of the Gauss-Newton matrix (Martens, ICML 2010, section 4.7,
//              takes the squared gradients' sum for D)
//   kfac       (K + delta I)^-1, K the Kronecker factors (kronecker.hpp)
#pragma once

#include <memory>

#include "hsogpu/core/state.hpp"
#include "hsogpu/linalg/operators.hpp"
#include "hsogpu/objective/kronecker.hpp"
#include "hsogpu/optim/hso.hpp"

namespace hso::detail {

template <class T>
class Preconditioner {
 public:
  explicit Preconditioner(Preconditioning kind) : kind_(kind) {}
  /// Whether it comes from the layers of a network.
  bool any() const { return kind_ == Preconditioning::diagonal || kind_ == Preconditioning::kfac; }
  /// Remembers where what is read by visit_state has its place.
  void make_room(Objective<T>& objective) { objective_ = &objective; }
  /// What the last `renew` made.
  void visit_state(StateVisitor& state);
  /// At theta. UsageError when the objective is no network, or not of products with the data (kfac).
  void renew(Objective<T>& objective, const T* theta);
  /// For this damping, above 0. NumericalError when a factor's eigendecomposition fails.
  LinearOperator<T>& at(double delta);

 private:
  void visit_factors(StateVisitor& state);
  void visit_diagonal(StateVisitor& state);
  std::unique_ptr<LinearOperator<T>> power(const Buffer<T>& d, double delta);
  Preconditioning kind_;
  Objective<T>* objective_ = nullptr;
  std::unique_ptr<LinearOperator<T>> source_, inverse_;
  KroneckerOperator<T>* factors_ = nullptr;  ///< source_, as one of them
  const Buffer<T>* diagonal_ = nullptr;      ///< the entries
  double delta_ = -1;                        ///< of inverse_
};

}  // namespace hso::detail
