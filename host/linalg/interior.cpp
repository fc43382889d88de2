// SPDX-License-Identifier: Apache-2.0
//
// Eigenvalues inside the spectrum, by one Krylov space that is never restarted. It holds every polynomial of the matrix
// applied to the start, so that no filter and no inner solver finds them with fewer products (Li, Xi, Erlandson and
// Saad, SIAM J. Sci. Comput. 41 (2019) C393, trade products for a smaller basis); n of them span everything. How many
// it will take shows early, from Christoffel's function at the number: n times it is how many eigenvalues the space
// does not yet tell apart there.
#include <algorithm>

#include "linalg/block_lanczos.hpp"

namespace hso::detail {

namespace {

constexpr double kUnresolved = 2;  ///< eigenvalues: from here on convergence is near
constexpr double kFarFrom = 30;    ///< and above this many of them nothing can have converged
constexpr Index kSmall = 512;      ///< n up to which all of it is no matter

/// The first half of its steps.
LanczosRecurrence half_of(const LanczosRecurrence& r) {
  const auto half = static_cast<std::ptrdiff_t>(r.diagonal.size() / 2);
  return {{r.diagonal.begin(), r.diagonal.begin() + half}, {r.off_diagonal.begin(), r.off_diagonal.begin() + half}};
}

/// The Ritz values of a recurrence; their residuals are the last entries of their vectors times the last beta.
Resolved resolved(LanczosRecurrence r) {
  const double leak = r.off_diagonal.back();
  r.off_diagonal.pop_back();
  std::reverse(r.diagonal.begin(), r.diagonal.end());
  std::reverse(r.off_diagonal.begin(), r.off_diagonal.end());
  GaussRule rule = host_gauss_rule(r.diagonal, r.off_diagonal);
  for (double& weight : rule.weights) weight = leak * std::sqrt(weight);
  return {std::move(rule.nodes), std::move(rule.weights)};
}

}  // namespace

template <class T>
double BlockLanczos<T>::unresolved(const LanczosRecurrence& r) const {
  return static_cast<double>(n_) * std::exp(log_hidden_weight(r, *near_, least_coupling()));
}

/// Ritz values and the last entries of their vectors cost O(m^2), the projection O(m^3). False: not all wanted pairs
/// have converged, and nothing else asks for it.
template <class T>
bool BlockLanczos<T>::worth_projecting() {
  const Index m = basis_.size();
  if (!near_ || !one_krylov_space() || block_ == 0) return true;
  if (m + block_ > capacity_ || out_.products >= most_products()) return true;
  const LanczosRecurrence r = recurrence(0);
  if (too_dense(r)) return true;
  looked_ = m;
  if (unresolved(r) > kFarFrom) return false;
  const Resolved last = resolved(r);
  const std::vector<Index> order = nearest(last.values, o_.count, *near_);
  return std::all_of(order.begin(), order.end(),
                     [&](Index i) { return last.residuals[static_cast<std::size_t>(i)] <= tolerance(); });
}

/// c(m), the eigenvalues that m steps do not tell apart, falls like a power of m, which two values of it give; the
/// step where it is 2 is foretold. That is where convergence begins, and it takes half as many again. From n / 2 steps
/// on orthogonalisation costs what a dense solver does.
template <class T>
bool BlockLanczos<T>::too_dense(const LanczosRecurrence& r) const {
  const auto m = static_cast<double>(r.diagonal.size()), n = static_cast<double>(n_);
  if (n_ <= kSmall || m < n / 8) return false;
  const double now = unresolved(r), before = unresolved(half_of(r));
  if (now <= kUnresolved) return false;
  const double power = std::max(0.1, std::log2(before / now));
  return 1.5 * m * std::pow(now / kUnresolved, 1 / power) > n / 2;
}

/// A thousandth on either side is far more than the ends of a space of so many steps are wrong by.
template <class T>
Crowd BlockLanczos<T>::crowd() {
  const double low = ritz_.values.front(), high = ritz_.values.back(), margin = 1e-3 * (high - low);
  const LanczosRecurrence r = recurrence(0);
  return {low - margin, high + margin, static_cast<double>(r.diagonal.size()), unresolved(r), out_.scale};
}

/// Ritz values in the interval mean something only where they have converged.
template <class T>
bool BlockLanczos<T>::found_between(const LanczosRecurrence& r) const {
  if (unresolved(r) > kFarFrom) return false;
  const Resolved last = resolved(r);
  for (std::size_t i = 0; i < last.values.size(); ++i)
    if (last.values[i] > search_.inside.below && last.values[i] < search_.inside.above &&
        last.residuals[i] <= tolerance())
      return true;
  return false;
}

/// Where the largest chance is looked for: a grid finer than the polynomials' waves, and where a Ritz value is on its
/// way to an eigenvalue, Christoffel's function has a peak no wider than its residual, which a grid steps over.
template <class T>
std::vector<double> BlockLanczos<T>::points_between(const LanczosRecurrence& r, const Resolved& ritz) const {
  const Inside in = search_.inside;
  const double waves = static_cast<double>(r.diagonal.size()) * (in.above - in.below) / (2 * out_.scale);
  const int intervals = static_cast<int>(std::clamp(16 * waves, 16.0, 1024.0));
  std::vector<double> points;
  for (int i = 0; i <= intervals; ++i) points.push_back(in.below + (in.above - in.below) * i / intervals);
  for (std::size_t i = 0; i < ritz.values.size(); ++i)
    for (const double side : {-1.0, -0.5, 0.0, 0.5, 1.0}) {
      const double x = ritz.values[i] + side * ritz.residuals[i];
      if (x > in.below && x < in.above) points.push_back(x);
    }
  return points;
}

/// A Ritz value in the interval that has not converged may be on its way to an eigenvalue there: nothing is known yet.
template <class T>
double BlockLanczos<T>::chance_between(const LanczosRecurrence& r) const {
  const Inside in = search_.inside;
  if (unresolved(r) > kFarFrom) return 1;
  const Resolved ritz = resolved(r);
  if (std::any_of(ritz.values.begin(), ritz.values.end(), [&](double x) { return x > in.below && x < in.above; }))
    return 1;
  double chance = 0;
  for (const double x : points_between(r, ritz))
    chance = std::max(chance, chance_of_hiding(n_ - count(), log_hidden_weight(r, x, least_coupling())));
  return chance;
}

template bool BlockLanczos<float>::worth_projecting();
template Crowd BlockLanczos<float>::crowd();
template bool BlockLanczos<float>::too_dense(const LanczosRecurrence&) const;
template bool BlockLanczos<float>::found_between(const LanczosRecurrence&) const;
template double BlockLanczos<float>::chance_between(const LanczosRecurrence&) const;
template bool BlockLanczos<double>::worth_projecting();
template Crowd BlockLanczos<double>::crowd();
template bool BlockLanczos<double>::too_dense(const LanczosRecurrence&) const;
template bool BlockLanczos<double>::found_between(const LanczosRecurrence&) const;
template double BlockLanczos<double>::chance_between(const LanczosRecurrence&) const;

}  // namespace hso::detail
