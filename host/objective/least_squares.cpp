// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/objective/function_objective.hpp"
#include "linalg/fitting.hpp"
#include "objective/owned_matrix.hpp"

namespace hso {

using detail::Scratch;

namespace {

/// J'J v, with a Jacobian [m][n] of its own.
template <class T>
class GaussNewtonOperator final : public LinearOperator<T> {
 public:
  GaussNewtonOperator(Context& context, Index n, Index m, const T* jacobian)
      : context_(context), n_(n), m_(m), jacobian_(context, checked_multiply(m, n)) {
    context.ops<T>().copy(m * n, jacobian, jacobian_.data());
  }
  Context& context() const override { return context_; }
  Index dimension() const override { return n_; }
  bool stored() const override { return true; }
  void apply(View<const T> v, View<T> hv) override {
    detail::require_fitting(*this, v, hv, "LeastSquaresObjective");
    Scratch scratch(context_);
    T* along = scratch.take<T>(m_);
    for (Index k = 0; k < v.lanes; ++k) {
      ops().gemm({1, m_, n_, v.lane(k), n_, false, jacobian_.data(), n_, true, along, m_});
      ops().gemm({1, n_, m_, along, m_, false, jacobian_.data(), n_, false, hv.lane(k), n_});
    }
  }
  void to_dense(T* h) override {
    ops().gemm({n_, n_, m_, jacobian_.data(), n_, true, jacobian_.data(), n_, false, h, n_});
  }

 private:
  detail::Ops<T>& ops() { return context_.ops<T>(); }
  Context& context_;
  Index n_, m_;
  Buffer<T> jacobian_;
};

}  // namespace

template <class T>
LeastSquaresObjective<T>::LeastSquaresObjective(Context& context, Index n, Index m, ResidualCallbacks<T> callbacks)
    : context_(context), n_(n), m_(m), callbacks_(std::move(callbacks)) {
  if (!callbacks_.residuals) throw UsageError("LeastSquaresObjective: no callback `residuals`");
  if (n < 1 || m < 1)
    throw UsageError(fmt::format("LeastSquaresObjective: {} parameters, {} residuals, expected 1 or more", n, m));
  r_ = Buffer<T>(context, m);
  jacobian_ = Buffer<T>(context, checked_multiply(m, n));
}

template <class T>
double LeastSquaresObjective<T>::value(const T* theta) {
  callbacks_.residuals(theta, r_.data(), nullptr);
  return 0.5 * context_.ops<T>().dot(m_, r_.data(), r_.data());
}

template <class T>
double LeastSquaresObjective<T>::gradient_from(const T* jacobian, T* g) {
  auto& ops = context_.ops<T>();
  ops.gemm({1, n_, m_, r_.data(), m_, false, jacobian, n_, false, g, n_});
  return 0.5 * ops.dot(m_, r_.data(), r_.data());
}

template <class T>
double LeastSquaresObjective<T>::gradient(const T* theta, T* g) {
  callbacks_.residuals(theta, r_.data(), jacobian_.data());
  return gradient_from(jacobian_.data(), g);
}

template <class T>
std::unique_ptr<LinearOperator<T>> LeastSquaresObjective<T>::curvature(const T* theta, Curvature kind) {
  if (kind == Curvature::ggn) {
    callbacks_.residuals(theta, r_.data(), jacobian_.data());
    return std::make_unique<GaussNewtonOperator<T>>(context_, n_, m_, jacobian_.data());
  }
  if (kind == Curvature::hessian && callbacks_.hessian)
    return detail::owned_matrix<T>(context_, n_, [&](T* h) { callbacks_.hessian(theta, h); });
  return Objective<T>::curvature(theta, kind);
}

template <class T>
typename Objective<T>::Linearized LeastSquaresObjective<T>::linearize(const T* theta, T* g, Curvature kind) {
  const double value = gradient(theta, g);
  if (kind != Curvature::ggn) return {value, curvature(theta, kind)};
  return {value, std::make_unique<GaussNewtonOperator<T>>(context_, n_, m_, jacobian_.data())};
}

template <class T>
std::vector<double> LeastSquaresObjective<T>::standard_deviations(const T* theta) {
  if (m_ <= n_)
    throw UsageError(
        fmt::format("LeastSquaresObjective: {} residuals leave no degree of freedom to {} parameters", m_, n_));
  const double rss = 2 * value(theta);
  Buffer<T> gram(context_, checked_multiply(n_, n_));
  curvature(theta, Curvature::ggn)->to_dense(gram.data());
  // In units that make the diagonal 1, where the condition is that of the fit, not of the units.
  std::vector<T> a = gram.download();
  const auto n = static_cast<std::size_t>(n_);
  std::vector<double> unit(n), out(n, std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < n; ++i) unit[i] = std::sqrt(static_cast<double>(a[i * n + i]));
  for (std::size_t i = 0; i < n * n; ++i) a[i] = static_cast<T>(a[i] / (unit[i / n] * unit[i % n]));
  gram.upload(a);
  if (inverse(context_, gram.view().reshaped({n_, n_})).status != LinalgStatus::ok) return out;
  a = gram.download();
  for (std::size_t i = 0; i < n; ++i)
    out[i] = std::sqrt(static_cast<double>(a[i * n + i]) * rss / static_cast<double>(m_ - n_)) / unit[i];
  return out;
}

template class LeastSquaresObjective<float>;
template class LeastSquaresObjective<double>;

}  // namespace hso
