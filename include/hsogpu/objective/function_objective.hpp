// SPDX-License-Identifier: Apache-2.0
//
// A user's own function as an Objective, so that every optimizer, operator and check works on it.
//
//   FunctionObjective<double> f(*context, 2, {.value = [](const double* x, double* g) {
//     if (g != nullptr) { g[0] = 2 * x[0]; g[1] = 8 * x[1]; }
//     return x[0] * x[0] + 4 * x[1] * x[1];
//   }});
//   Buffer<double> x(*context, std::vector<double>{3, 1});
//   Summary s = minimize(f, x);                              // minimize.hpp
//
// All pointers that a callback gets are memory of the context's device: on a CPU context ordinary memory, on a CUDA
// context for the user's own kernels, launched before the callback returns on a stream that the default stream waits
// for. Results are overwritten, and belong to the library, as do the points; nothing of it may be kept. Callbacks are
// copied in and live as long as the objective; what they capture by reference is the user's. What a callback throws
// passes through the optimizer, which leaves theta as it was.
#pragma once

#include <functional>
#include <vector>

#include "hsogpu/objective/objective.hpp"

namespace hso {

template <class T>
struct FunctionCallbacks {
  /// f(theta), n numbers; where `g` is not null also g := its gradient.
  std::function<double(const T* theta, T* g)> value;
  /// hv := H(theta) v. Optional.
  std::function<void(const T* theta, const T* v, T* hv)> hessian_product = {};
  /// h[n][n] := H(theta), both triangles. Optional; comes before hessian_product.
  std::function<void(const T* theta, T* h)> hessian = {};
};

/// Curvature `hessian` is what the callbacks say. Where they say nothing it is the central difference of the gradient
/// along every coordinate with a step in proportion to |theta_i|, so that parameters may be of very different sizes: 2
/// n gradients for a dense matrix, a few more where a parameter is near 0 or the domain ends. Up to 32 variables
/// products come from that matrix; above they are differences along the direction (FiniteDifferenceOperator), which
/// suit parameters of like size. `ggn` needs a LeastSquaresObjective.
template <class T>
class FunctionObjective final : public Objective<T> {
 public:
  /// UsageError without `value` or for n < 1.
  FunctionObjective(Context& context, Index n, FunctionCallbacks<T> callbacks);
  Context& context() const override { return context_; }
  Index dimension() const override { return n_; }
  double value(const T* theta) override { return callbacks_.value(theta, nullptr); }
  double gradient(const T* theta, T* g) override { return callbacks_.value(theta, g); }
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override;

 private:
  detail::ContextShare share_;
  Context& context_;
  Index n_;
  FunctionCallbacks<T> callbacks_;
};

template <class T>
struct ResidualCallbacks {
  /// r := the m residuals at theta; where `jacobian` is not null also jacobian[m][n] := dr_k / dtheta_i.
  std::function<void(const T* theta, T* r, T* jacobian)> residuals;
  /// Of f = |r|^2 / 2, both triangles, h[n][n]. Optional.
  std::function<void(const T* theta, T* h)> hessian = {};
};

/// f = |r(theta)|^2 / 2 with gradient J'r and Gauss-Newton matrix J'J (curvature `ggn`). `hessian` is what the callback
/// says, or differences of the gradient as of a FunctionObjective.
template <class T>
class LeastSquaresObjective final : public Objective<T> {
 public:
  /// n parameters, m residuals. UsageError without `residuals` or for n or m < 1.
  LeastSquaresObjective(Context& context, Index n, Index m, ResidualCallbacks<T> callbacks);
  Context& context() const override { return context_; }
  Index dimension() const override { return n_; }
  Index residuals() const { return m_; }
  double value(const T* theta) override;
  double gradient(const T* theta, T* g) override;
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override;
  typename Objective<T>::Linearized linearize(const T* theta, T* g, Curvature kind) override;

  /// Standard deviations of the parameters of a fit, on the host: sqrt(diag((J'J)^-1) |r|^2 / (m - n)). Infinite where
  /// J'J cannot be inverted. UsageError for m <= n.
  std::vector<double> standard_deviations(const T* theta);

 private:
  double gradient_from(const T* jacobian, T* g);
  Context& context_;
  Index n_, m_;
  ResidualCallbacks<T> callbacks_;
  Buffer<T> r_, jacobian_;
};

}  // namespace hso
