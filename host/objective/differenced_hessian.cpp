// SPDX-License-Identifier: Apache-2.0
#include "objective/differenced_hessian.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/operators.hpp"
#include "linalg/fitting.hpp"
#include "objective/balanced_units.hpp"

namespace hso::detail {

namespace {

constexpr Index kFormedAtOnce = 32;
constexpr int kAttempts = 10;     ///< step lengths that are tried for one column
constexpr double kLonger = 1000;  ///< factor between them
constexpr double kShorter = 100;

template <class T>
double epsilon() {
  return std::numeric_limits<T>::epsilon();
}

/// The largest share that an entry changed by.
template <class T>
double largest_change(const std::vector<T>& a, const std::vector<T>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double size = std::fabs(static_cast<double>(a[i])) + std::fabs(static_cast<double>(b[i]));
    if (size > 0) largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - b[i]) / size);
  }
  return largest;
}

/// |A - A'| / 2 in the Frobenius norm and in balanced units, where entries are at most about 1. A := (A + A') / 2.
template <class T>
double symmetrize(std::vector<T>& a, std::size_t n) {
  std::vector<double> square(n);
  for (std::size_t i = 0; i < n; ++i) square[i] = std::fabs(static_cast<double>(a[i * n + i]));
  if (!diagonal_dominates(a, n)) square = balanced_units(a, n);
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) {
      T &upper = a[j * n + i], &lower = a[i * n + j];
      const double units = std::sqrt(square[i]) * std::sqrt(square[j]), half = (upper - lower) / 2;
      if (units > 0) sum += 2 * (half / units) * (half / units);
      upper = lower = static_cast<T>(lower + half);
    }
  return std::sqrt(sum);
}

}  // namespace

template <class T>
DifferencedHessian<T>::DifferencedHessian(Objective<T>& objective, const T* theta)
    : objective_(objective),
      theta_(objective.context(), objective.dimension()),
      point_(objective.context(), objective.dimension()),
      g_(objective.context(), objective.dimension()),
      error_(std::pow(epsilon<T>(), 2.0 / 3)) {
  context().template ops<T>().copy(dimension(), theta, theta_.data());
}

template <class T>
void DifferencedHessian<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "DifferencedHessian");
  if (dimension() <= kFormedAtOnce) form();
  if (stored()) return MatrixOperator<T>(context(), dimension(), matrix_.data()).apply(v, hv);
  FiniteDifferenceOperator<T>(objective_, theta_.data()).apply(v, hv);
  gradients_ += 2 * v.lanes;
}

template <class T>
void DifferencedHessian<T>::to_dense(T* h) {
  form();
  context().template ops<T>().copy(matrix_.size(), matrix_.data(), h);
}

template <class T>
void DifferencedHessian<T>::form() {
  if (stored()) return;
  const auto n = static_cast<std::size_t>(dimension());
  host_theta_ = theta_.download();
  std::vector<T> a;
  bool all = true;
  double of_steps = 0;
  for (std::size_t j = 0; j < n; ++j) {
    Column found = column(static_cast<Index>(j));
    all = all && !found.entries.empty();
    found.entries.resize(n, T(0));  // a column that cannot be had is no curvature
    if (found.entries[j] != T(0)) of_steps = std::max(of_steps, found.error);  // of 0 no sign is claimed
    a.insert(a.end(), found.entries.begin(), found.entries.end());
  }
  const double asymmetry = symmetrize(a, n);
  error_ = all ? std::min(std::max({error_, asymmetry, of_steps}), 1.0) : 1;
  matrix_ = Buffer<T>(context(), Span<const T>(a));
}

template <class T>
const typename DifferencedHessian<T>::Side& DifferencedHessian<T>::here() {
  if (!here_.g.empty()) return here_;
  value_ = objective_.gradient(theta_.data(), g_.data());
  ++gradients_;
  here_ = {T(0), g_.download(), true};
  for (T g : here_.g) here_.finite = here_.finite && std::isfinite(g);
  return here_;
}

template <class T>
double DifferencedHessian<T>::unknown_size(Index j) {
  const double slope = static_cast<double>(here().g[static_cast<std::size_t>(j)]), size = std::fabs(value_ / slope);
  return std::isfinite(size) && size > 0 ? size : 1;
}

template <class T>
typename DifferencedHessian<T>::Column DifferencedHessian<T>::column_of(Index j, const Side& plus, const Side& minus,
                                                                        double size) {
  Column out{quotient(plus, minus), 0};
  if (out.entries.empty()) return out;
  const auto at = static_cast<std::size_t>(j);
  const Side &a = plus.finite ? plus : here(), &b = minus.finite ? minus : here();
  const double g = std::max(std::fabs(static_cast<double>(a.g[at])), std::fabs(static_cast<double>(b.g[at])));
  const double change = std::fabs(static_cast<double>(a.g[at]) - b.g[at]);
  if (g > 0) out.error = change > 0 ? epsilon<T>() * g / change : 1;
  if (!plus.finite || !minus.finite) out.error = std::max(out.error, (static_cast<double>(a.at) - b.at) / size);
  return out;
}

template <class T>
typename DifferencedHessian<T>::Column DifferencedHessian<T>::column(Index j) {
  const double x = std::fabs(static_cast<double>(host_theta_[static_cast<std::size_t>(j)]));
  const double share = std::cbrt(epsilon<T>()), longest = share * std::max({x, 1.0, x > 0 ? 0.0 : unknown_size(j)});
  double h = share * (x > 0 ? x : std::min(unknown_size(j), 1.0));
  const double size = h / share;
  Column best{};
  bool one_sided = false;
  for (int i = 0; i < kAttempts; ++i) {
    const Side plus = side(j, h), minus = side(j, -h);
    Column found = column_of(j, plus, minus, size);
    const bool both = plus.finite && minus.finite;
    if (!both) {  // an edge is near: well inside of it
      if (!best.entries.empty() && !one_sided) break;
      if (!found.entries.empty() && (best.entries.empty() || found.error < best.error)) best = std::move(found);
      one_sided = true;
      if (h <= 2 * epsilon<T>() * x) break;
      h = std::max(h / kShorter, 2 * epsilon<T>() * x);
      continue;
    }
    best = std::move(found);
    if (one_sided) {
      const Side closer = side(j, h / 10), across = side(j, -h / 10);
      if (largest_change(closer.g, across.g) >= std::sqrt(epsilon<T>())) best = column_of(j, closer, across, size);
      break;
    }
    if (h >= longest || largest_change(plus.g, minus.g) >= std::sqrt(epsilon<T>())) break;
    h = std::min(std::max(kLonger * h, i == 0 ? share * std::min(unknown_size(j), 1.0) : 0.0), longest);
  }
  return best;
}

template <class T>
typename DifferencedHessian<T>::Side DifferencedHessian<T>::side(Index j, double h) {
  const T at = static_cast<T>(static_cast<double>(host_theta_[static_cast<std::size_t>(j)]) + h);
  auto& ops = context().template ops<T>();
  ops.copy(dimension(), theta_.data(), point_.data());
  context().to_device(&at, point_.data() + j, static_cast<Index>(sizeof(T)));
  objective_.gradient(point_.data(), g_.data());
  ++gradients_;
  Side out{static_cast<T>(at - host_theta_[static_cast<std::size_t>(j)]), g_.download(), true};
  for (T g : out.g) out.finite = out.finite && std::isfinite(g);
  return out;
}

template <class T>
std::vector<T> DifferencedHessian<T>::quotient(const Side& plus, const Side& minus) {
  if (!plus.finite && !minus.finite) return {};
  const Side& a = plus.finite ? plus : here();
  const Side& b = minus.finite ? minus : here();
  const double width = static_cast<double>(a.at) - b.at;
  std::vector<T> out;
  if (!a.finite || !b.finite || !(width > 0)) return out;
  for (std::size_t i = 0; i < a.g.size(); ++i) {
    const T entry = static_cast<T>((static_cast<double>(a.g[i]) - b.g[i]) / width);
    if (!std::isfinite(entry)) return {};
    out.push_back(entry);
  }
  return out;
}

template class DifferencedHessian<float>;
template class DifferencedHessian<double>;

}  // namespace hso::detail
