// SPDX-License-Identifier: Apache-2.0
#include "objective/check/check_probe.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/elements/random.hpp"

namespace hso::check {

double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

double norm(const Vector& a) { return std::sqrt(dot(a, a)); }

Vector combine(double a, const Vector& x, double b, const Vector& y) {
  Vector out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = a * x[i] + b * y[i];
  return out;
}

double distance(const Vector& x, const Vector& y) { return norm(combine(1, x, -1, y)); }

bool all_finite(const Vector& x) {
  return std::all_of(x.begin(), x.end(), [](double value) { return std::isfinite(value); });
}

Vector random_direction(Index n, std::uint64_t seed, std::uint64_t stream) {
  Vector v(static_cast<std::size_t>(n));
  const detail::RandomFill<double> fill{v.data(), seed, stream, detail::Distribution::normal, 0, 1};
  for (Index i = 0; i < n; ++i) fill(0, i);
  return combine(1 / norm(v), v, 0, v);
}

template <class T>
Probe<T>::Probe(Objective<T>& objective, Vector theta, Vector unit)
    : objective_(objective),
      theta_(std::move(theta)),
      unit_(std::move(unit)),
      point_(objective.context(), objective.dimension()),
      result_(objective.context(), objective.dimension()) {
  unit_.resize(theta_.size(), 1.0);
  for (std::size_t i = 0; i < theta_.size(); ++i) theta_[i] /= unit_[i];
}

template <class T>
Vector Probe<T>::scaled(const std::vector<T>& x) const {
  Vector out(x.begin(), x.end());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] *= unit_[i];
  return out;
}

template <class T>
const T* Probe<T>::upload(const Vector& x) {
  std::vector<T> narrowed(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) narrowed[i] = static_cast<T>(x[i] * unit_[i]);
  point_.upload(narrowed);
  return point_.data();
}

template <class T>
double Probe<T>::value(const Vector& x) {
  return objective_.value(upload(x));
}

template <class T>
Vector Probe<T>::gradient(const Vector& x, double* value) {
  const double f = objective_.gradient(upload(x), result_.data());
  if (value != nullptr) *value = f;
  return scaled(result_.download());
}

template <class T>
std::vector<Vector> Probe<T>::products(Curvature kind, const std::vector<Vector>& v, Index lanes) {
  const Index n = dimension();
  const auto op = objective_.curvature(upload(theta_), kind);
  std::vector<Vector> out;
  for (std::size_t first = 0; first < v.size(); first += static_cast<std::size_t>(lanes)) {
    const std::size_t end = std::min(v.size(), first + static_cast<std::size_t>(lanes));
    std::vector<T> packed;
    for (std::size_t k = first; k < end; ++k)
      for (std::size_t i = 0; i < v[k].size(); ++i) packed.push_back(static_cast<T>(v[k][i] * unit_[i]));
    Buffer<T> in(objective_.context(), Span<const T>(packed)), hv(objective_.context(), in.size());
    const auto count = static_cast<Index>(end - first);
    op->apply(vector_view<const T>(in.data(), n, count), vector_view(hv.data(), n, count));
    const std::vector<T> host = hv.download();
    for (auto lane = host.begin(); lane != host.end(); lane += n) out.push_back(scaled(std::vector<T>(lane, lane + n)));
  }
  return out;
}

template <class T>
Vector Probe<T>::dense(Curvature kind) {
  const auto op = objective_.curvature(upload(theta_), kind);
  Buffer<T> h(objective_.context(), checked_multiply(dimension(), dimension()));
  op->to_dense(h.data());
  const std::vector<T> host = h.download();
  Vector out(host.begin(), host.end());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] *= unit_[i / unit_.size()] * unit_[i % unit_.size()];
  return out;
}

template <class T>
bool Probe<T>::differentiates_gradient() {
  const auto op = objective_.curvature(upload(theta_), Curvature::hessian);
  return op->relative_error() > 0;
}

template <class T>
bool Probe<T>::has_ggn() {
  try {
    return objective_.curvature(upload(theta_), Curvature::ggn) != nullptr;
  } catch (const UsageError&) {
    return false;
  }
}

template class Probe<float>;
template class Probe<double>;

}  // namespace hso::check
