// SPDX-License-Identifier: Apache-2.0
#include "optim/minimize/second_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "objective/balanced_units.hpp"
#include "optim/hso/spectral.hpp"

namespace hso::detail {

namespace {

const std::int64_t* count(const StepReport& report, const char* name) {
  for (const auto& [key, value] : report.metrics)
    if (key == name) return std::get_if<std::int64_t>(&value);
  return nullptr;
}

/// What is not surely negative at the stationary point counts as zero.
Inertia settled(const Inertia& here, Index uncertain) {
  return {here.positive, here.zero + uncertain, here.negative - uncertain};
}

}  // namespace

bool uncertain(const StepReport& report) { return count(report, "n_uncertain") != nullptr; }

std::optional<Inertia> inertia_of(const StepReport& report) {
  const auto *positive = count(report, "n_positive"), *zero = count(report, "n_zero"),
             *negative = count(report, "n_negative");
  if (positive == nullptr || zero == nullptr || negative == nullptr) return {};
  const std::int64_t* doubtful = count(report, "n_uncertain");
  return settled({*positive, *zero, *negative}, doubtful != nullptr ? *doubtful : 0);
}

namespace {

/// A := D^-1 A D^-1, which has the same inertia. D; empty where A is not finite.
template <class T>
std::vector<double> balance(std::vector<T>& a, std::size_t n) {
  if (!std::all_of(a.begin(), a.end(), [](T x) { return std::isfinite(x); })) return {};
  std::vector<double> unit(n);
  for (std::size_t i = 0; i < n; ++i) unit[i] = std::fabs(static_cast<double>(a[i * n + i]));
  if (!diagonal_dominates(a, n)) unit = balanced_units(a, n);
  for (double& d : unit) d = d > 0 ? std::sqrt(d) : 1;
  for (std::size_t i = 0; i < n * n; ++i) a[i] = static_cast<T>(a[i] / unit[i / n] / unit[i % n]);
  return unit;
}

template <class T>
std::vector<T> on_host(Context& context, const T* x, std::size_t n) {
  std::vector<T> out(n);
  context.to_host(x, out.data(), static_cast<Index>(n * sizeof(T)));
  return out;
}

template <class T>
double size_in(const std::vector<double>& unit, const std::vector<T>& x) {
  double size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) size = std::hypot(size, unit[i] * static_cast<double>(x[i]));
  return size;
}

/// change_to_come at theta; row i of v is eigenvector i.
template <class T>
double drift_at(Objective<T>& objective, const T* theta, const T* start, const std::vector<double>& unit,
                const std::vector<T>& v, const Spectrum& spectrum) {
  const std::size_t n = unit.size();
  Context& context = objective.context();
  Buffer<T> gradient(context, static_cast<Index>(n));
  const double value = objective.gradient(theta, gradient.data());
  const std::vector<T> g = gradient.download();
  std::vector<double> c(n, 0.0);
  for (std::size_t i = 0; i < n * n; ++i) c[i / n] += static_cast<double>(v[i]) * g[i % n] / unit[i % n];
  const double extent = std::max(size_in(unit, on_host(context, theta, n)), size_in(unit, on_host(context, start, n)));
  return change_to_come(spectrum, c, extent, value, std::numeric_limits<T>::epsilon());
}

}  // namespace

template <class T>
std::optional<Inertia> look_at_hessian(Objective<T>& objective, const T* theta, const T* start, Index limit,
                                       Index difference_limit) {
  const Index n = objective.dimension();
  if (n > std::max(limit, difference_limit)) return {};
  std::unique_ptr<LinearOperator<T>> curvature;
  try {
    curvature = objective.curvature(theta, Curvature::hessian);
  } catch (const UsageError&) {  // there is none
    return {};
  }
  if (n > (curvature->relative_error() > 0 ? difference_limit : limit)) return {};
  Context& context = objective.context();
  Buffer<T> matrix(context, checked_multiply(n, n));
  curvature->to_dense(matrix.data());
  std::vector<T> a = matrix.download();
  const std::vector<double> unit = balance(a, static_cast<std::size_t>(n));
  if (unit.empty()) return {};
  matrix.upload(a);
  EighResult eigen = eigh(context, matrix.view().reshaped({n, n}));
  if (!eigen.ok()) return {};
  Spectrum spectrum{std::move(eigen.values), {}};
  spectrum.summary = summarize_spectrum(spectrum.values, spectrum_tolerance<T>(n));
  spectrum.error = curvature->relative_error() * spectrum.summary.largest;
  if (spectrum.has_negative()) spectrum.drift = drift_at(objective, theta, start, unit, matrix.download(), spectrum);
  const Inertia found = settled(spectrum.inertia(), spectrum.uncertain());
  if (sizeof(T) < sizeof(double) && found.zero > 0 && !spectrum.clearly_negative()) return {};
  return found;
}

std::string words_of(const Inertia& i) {
  std::string words =
      fmt::format("Hessian: {} positive, {} zero and {} negative eigenvalues", i.positive, i.zero, i.negative);
  if (i.negative > 0) return words + (i.positive + i.zero == 0 ? ", a maximum where f is stationary" : "");
  if (i.zero > 0) words += ", so that second order alone does not tell a minimum from a saddle";
  return words;
}

template std::optional<Inertia> look_at_hessian(Objective<float>&, const float*, const float*, Index, Index);
template std::optional<Inertia> look_at_hessian(Objective<double>&, const double*, const double*, Index, Index);

}  // namespace hso::detail
