// SPDX-License-Identifier: Apache-2.0
#include "optim/second_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "curvature/balanced_units.hpp"
#include "curvature/curvature_traits.hpp"
#include "hsogpu/error.hpp"

namespace hso::detail {

std::optional<Inertia> inertia_of(const StepReport& report) {
  const auto count = [&](const char* name) -> const std::int64_t* {
    for (const auto& [key, value] : report.metrics)
      if (key == name) return std::get_if<std::int64_t>(&value);
    return nullptr;
  };
  const auto *positive = count("n_positive"), *zero = count("n_zero"), *negative = count("n_negative");
  if (positive == nullptr || zero == nullptr || negative == nullptr) return {};
  return Inertia{*positive, *zero, *negative};
}

namespace {

/// A := D^-1 A D^-1, which has the same inertia. False where it is not finite.
template <class T>
bool balance(std::vector<T>& a, std::size_t n) {
  if (!std::all_of(a.begin(), a.end(), [](T x) { return std::isfinite(x); })) return false;
  std::vector<double> unit(n);
  for (std::size_t i = 0; i < n; ++i) unit[i] = std::fabs(static_cast<double>(a[i * n + i]));
  if (!diagonal_dominates(a, n)) unit = balanced_units(a, n);
  for (double& d : unit) d = d > 0 ? std::sqrt(d) : 1;
  for (std::size_t i = 0; i < n * n; ++i) a[i] = static_cast<T>(a[i] / unit[i / n] / unit[i % n]);
  return true;
}

}  // namespace

template <class T>
std::optional<Inertia> look_at_hessian(Objective<T>& objective, const T* theta, Index limit, Index difference_limit) {
  const Index n = objective.dimension();
  if (n > std::max(limit, difference_limit)) return {};
  std::unique_ptr<LinearOperator<T>> curvature;
  try {
    curvature = objective.curvature(theta, Curvature::hessian);
  } catch (const UsageError&) {  // there is none
    return {};
  }
  if (n > (relative_error_of(*curvature) > 0 ? difference_limit : limit)) return {};
  Context& context = objective.context();
  Buffer<T> matrix(context, checked_multiply(n, n));
  curvature->to_dense(matrix.data());
  std::vector<T> a = matrix.download();
  if (!balance(a, static_cast<std::size_t>(n))) return {};
  matrix.upload(a);
  const EighResult eigen = eigh(context, matrix.view().reshaped({n, n}));
  if (!eigen.ok()) return {};
  const double tolerance = std::max(spectrum_tolerance<T>(n), relative_error_of(*curvature));
  const Inertia found = summarize_spectrum(eigen.values, tolerance).inertia;
  if (sizeof(T) < sizeof(double) && found.zero > 0) return {};
  return found;
}

std::string words_of(const Inertia& i) {
  std::string words =
      fmt::format("Hessian: {} positive, {} zero and {} negative eigenvalues", i.positive, i.zero, i.negative);
  if (i.negative > 0) return words + (i.positive + i.zero == 0 ? ", a maximum where f is stationary" : "");
  if (i.zero > 0) words += ", so that second order alone does not tell a minimum from a saddle";
  return words;
}

template std::optional<Inertia> look_at_hessian(Objective<float>&, const float*, Index, Index);
template std::optional<Inertia> look_at_hessian(Objective<double>&, const double*, Index, Index);

}  // namespace hso::detail
