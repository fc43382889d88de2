// SPDX-License-Identifier: Apache-2.0
//
// A x = b for symmetric A that is known by its products, K right-hand sides as lanes of one call: conjugate gradients
// where A is positive definite, minimal residuals where it may not be. H^-1 v of a damped Hessian at sizes where H does
// not fit is
//
//   AffineOperator<T> damped(*hessian, 1.0, delta);
//   KrylovResult r = cg(damped, v, x, {.tolerance = 1e-6});
#pragma once

#include <string>
#include <vector>

#include "hsogpu/linalg/krylov_status.hpp"
#include "hsogpu/linalg/operators.hpp"

namespace hso {

template <class T>
struct KrylovOptions {
  double tolerance = 1e-6;                      ///< of |b - A x| / |b|
  Index max_iterations = 0;                     ///< 0: twice the dimension, 100 at least
  LinearOperator<T>* preconditioner = nullptr;  ///< an approximation of A^-1, symmetric positive definite
  bool start_from_x = false;                    ///< x holds a first guess; otherwise it is overwritten
};

/// Of one right-hand side.
struct KrylovLane {
  KrylovStatus status = KrylovStatus::converged;
  Index iterations = 0;
  double residual = 0;  ///< |b - A x| / |b|, measured by a product at the end, not the recurrence's
};

struct KrylovResult {
  std::vector<KrylovLane> lanes;
  Index products = 0;  ///< calls of A, each with all lanes
  bool converged() const;
};

/// Hestenes and Stiefel, J. Res. NBS 49 (1952) 409; with a preconditioner the form of Saad, "Iterative methods",
/// algorithm 9.1. b and x are [K][n] on the device and do not overlap. Lanes stop one by one; a lane with b = 0 gets 0.
template <class T>
KrylovResult cg(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& options = {});

/// Minimal residuals (Paige and Saunders, SIAM J. Numer. Anal. 12 (1975) 617): A may be indefinite, or singular with b
/// in its range; |b - A x| falls with every step. UsageError for a preconditioner. max_iterations 0 takes 5 n, 100 at
/// least.
template <class T>
KrylovResult minres(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& options = {});

enum class KrylovMethod { cg, minres };

/// A^-1 as an operator; `start_from_x` is ignored. apply() throws NumericalError when a lane does not converge.
template <class T>
class InverseOperator final : public LinearOperator<T> {
 public:
  explicit InverseOperator(LinearOperator<T>& a, const KrylovOptions<T>& options = {},
                           KrylovMethod method = KrylovMethod::cg)
      : a_(a), options_(options), method_(method) {
    options_.start_from_x = false;
  }
  Index products() const { return products_; }  ///< vectors multiplied by A so far
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  void apply(View<const T> v, View<T> hv) override;

 private:
  LinearOperator<T>& a_;
  KrylovOptions<T> options_;
  KrylovMethod method_;
  Index products_ = 0;
};

}  // namespace hso
