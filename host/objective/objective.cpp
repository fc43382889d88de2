// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/objective/objective.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "linalg/fitting.hpp"
#include "objective/differenced_hessian.hpp"

namespace hso {

template <class T>
std::vector<ParameterSlice> Objective<T>::layout() const {
  return {{"theta", 0, Shape{dimension()}}};
}

template <class T>
std::unique_ptr<LinearOperator<T>> Objective<T>::curvature(const T* theta, Curvature kind) {
  if (kind == Curvature::gradient_outer) return std::make_unique<GradientOuterOperator<T>>(*this, theta);
  if (kind == Curvature::secant) return std::make_unique<SecantOperator<T>>(*this, theta);
  if (kind != Curvature::hessian && kind != Curvature::finite_difference)
    throw UsageError(
        fmt::format("Objective::curvature: {} needs the outputs of a network, residuals or an expression, "
                    "which this objective does not have; use hessian, finite_difference, secant or gradient_outer",
                    name_of(kind)));
  return std::make_unique<detail::DifferencedHessian<T>>(*this, theta);
}

template <class T>
void Objective<T>::value_on_device(const T* theta, double* result) {
  const double found = value(theta);
  context().to_device(&found, result, sizeof found);
}

template <class T>
bool Objective<T>::announce_gradient(std::vector<std::uintptr_t>&, Index, Curvature) {
  return false;
}

template <class T>
void Objective<T>::gradient_on_device(const T* theta, T* g, double* value) {
  const double found = gradient(theta, g);
  context().to_device(&found, value, sizeof found);
}

template <class T>
void Objective<T>::product_on_device(Curvature, const T*, T*) {
  throw UsageError("Objective::product_on_device: no product was announced");
}

template <class T>
typename Objective<T>::Linearized Objective<T>::linearize(const T* theta, T* g, Curvature kind) {
  const double value = gradient(theta, g);
  return {value, curvature(theta, kind)};
}

namespace {

template <class T>
double default_step(bool central) {
  const double epsilon = std::numeric_limits<T>::epsilon();
  return central ? std::cbrt(epsilon) : std::sqrt(epsilon);
}

}  // namespace

template <class T>
FiniteDifferenceOperator<T>::FiniteDifferenceOperator(Objective<T>& objective, const T* theta,
                                                      const FiniteDifferenceOptions& options)
    : objective_(objective),
      options_(options),
      theta_(objective.context(), objective.dimension()),
      point_(objective.context(), objective.dimension()),
      plus_(objective.context(), objective.dimension()),
      base_(objective.context(), objective.dimension()) {
  auto& ops = context().template ops<T>();
  const Index n = dimension();
  ops.copy(n, theta, theta_.data());
  theta_norm_ = ops.nrm2(n, theta_.data());
  if (options_.step <= 0) options_.step = default_step<T>(options_.central);
  if (options_.central) return;
  objective_.gradient(theta_.data(), base_.data());
  ++gradients_;
}

template <class T>
void FiniteDifferenceOperator<T>::difference(const T* v, double relative_step, T* hv) {
  auto& ops = context().template ops<T>();
  const Index n = dimension();
  const double v_norm = ops.nrm2(n, v);
  if (v_norm == 0) return ops.fill(n, T(0), hv);
  const double h = relative_step * (1 + theta_norm_) / v_norm;
  const auto gradient_at = [&](double shift, T* g) {
    ops.copy(n, theta_.data(), point_.data());
    ops.axpby(n, static_cast<T>(shift), v, T(1), point_.data());
    objective_.gradient(point_.data(), g);
    ++gradients_;
  };
  gradient_at(h, plus_.data());
  if (options_.central) gradient_at(-h, base_.data());
  const double width = options_.central ? 2 * h : h;
  ops.copy(n, plus_.data(), hv);
  ops.axpby(n, static_cast<T>(-1 / width), base_.data(), static_cast<T>(1 / width), hv);
}

template <class T>
double FiniteDifferenceOperator<T>::relative_error() const {
  return std::pow(static_cast<double>(std::numeric_limits<T>::epsilon()), 2.0 / 3);
}

template <class T>
void FiniteDifferenceOperator<T>::apply(View<const T> v, View<T> hv) {
  for (Index k = 0; k < v.lanes; ++k) difference(v.lane(k), options_.step, hv.lane(k));
}

template <class T>
double FiniteDifferenceOperator<T>::error_estimate(View<const T> v) {
  auto& ops = context().template ops<T>();
  const Index n = dimension();
  Buffer<T> once(context(), n), twice(context(), n);
  difference(v.lane(0), options_.step, once.data());
  difference(v.lane(0), 2 * options_.step, twice.data());
  const double size = ops.nrm2(n, once.data());
  ops.axpby(n, T(1), once.data(), T(-1), twice.data());
  const double change = ops.nrm2(n, twice.data());
  // The leading error grows with h^2 (central) or h (forward): Hv(2h) - Hv(h) is 3 or 1 times the error of Hv(h).
  return size > 0 ? change / size / (options_.central ? 3 : 1) : change;
}

template <class T>
GradientOuterOperator<T>::GradientOuterOperator(Objective<T>& objective, const T* theta)
    : context_(objective.context()), g_(context_, objective.dimension()) {
  objective.gradient(theta, g_.data());
}

template <class T>
void GradientOuterOperator<T>::apply(View<const T> v, View<T> hv) {
  detail::require_fitting(*this, v, hv, "GradientOuterOperator");
  auto& ops = context_.template ops<T>();
  std::vector<double> along(static_cast<std::size_t>(v.lanes));
  ops.dots(v.lanes, dimension(), v.data, v.lane_stride, g_.data(), 0, along.data());
  for (Index k = 0; k < v.lanes; ++k)
    ops.axpby(dimension(), static_cast<T>(along[static_cast<std::size_t>(k)]), g_.data(), T(0), hv.lane(k));
}

template class Objective<float>;
template class Objective<double>;
template class FiniteDifferenceOperator<float>;
template class FiniteDifferenceOperator<double>;
template class GradientOuterOperator<float>;
template class GradientOuterOperator<double>;

}  // namespace hso
