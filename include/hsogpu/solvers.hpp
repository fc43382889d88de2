// SPDX-License-Identifier: Apache-2.0
//
// Conjugate gradients over LinearOperator: A x = b for symmetric positive definite A that is known by its products,
// K right-hand sides as lanes of one call. H^-1 v of a damped Hessian at sizes where H does not fit is
//
//   AffineOperator<T> damped(*hessian, 1.0, delta);
//   CgResult r = cg(damped, v, x, {.tolerance = 1e-6});
#pragma once

#include <string>
#include <vector>

#include "hsogpu/operators.hpp"

namespace hso {

enum class CgStatus {
  converged,
  max_iterations,      ///< x is the last iterate
  negative_curvature,  ///< p'Ap <= 0: A is not positive definite; x is the iterate before it
  not_finite,          ///< b, a product or a step is not finite; x is the iterate before
  stalled              ///< rounding holds the true residual above the tolerance
};
const char* name_of(CgStatus status);

template <class T>
struct CgOptions {
  double tolerance = 1e-6;                      ///< of |b - A x| / |b|
  Index max_iterations = 0;                     ///< 0: twice the dimension, 100 at least
  LinearOperator<T>* preconditioner = nullptr;  ///< an approximation of A^-1, symmetric positive definite
  bool start_from_x = false;                    ///< x holds a first guess; otherwise it is overwritten
};

/// Of one right-hand side.
struct CgLane {
  CgStatus status = CgStatus::converged;
  Index iterations = 0;
  double residual = 0;  ///< |b - A x| / |b|, measured by a product at the end, not the recurrence's
};

struct CgResult {
  std::vector<CgLane> lanes;
  Index products = 0;  ///< calls of A, each with all lanes
  bool converged() const;
};

/// Hestenes and Stiefel, J. Res. NBS 49 (1952) 409; with a preconditioner the form of Saad, "Iterative methods",
/// algorithm 9.1. b and x are [K][n] on the device and do not overlap. Lanes stop one by one; a lane with b = 0 gets 0.
template <class T>
CgResult cg(LinearOperator<T>& a, View<const T> b, View<T> x, const CgOptions<T>& options = {});

/// A^-1 by cg, as an operator; `start_from_x` is ignored. apply() throws NumericalError when a lane does not converge.
template <class T>
class InverseOperator final : public LinearOperator<T> {
 public:
  explicit InverseOperator(LinearOperator<T>& a, const CgOptions<T>& options = {}) : a_(a), options_(options) {
    options_.start_from_x = false;
  }
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  void apply(View<const T> v, View<T> hv) override;

 private:
  LinearOperator<T>& a_;
  CgOptions<T> options_;
};

}  // namespace hso
