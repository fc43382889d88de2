// SPDX-License-Identifier: Apache-2.0
//
// Are there eigenvalues more extreme than the converged ones? Lanczos on the complement of their vectors Q, from a
// random vector, says: with a value that is, or with how improbable it is that one has stayed hidden. A Q = Q L + N E
// with small E; N waits behind the basis, so that whatever is found nothing is lost.
#include <algorithm>
#include <cstdint>

#include "linalg/block_lanczos.hpp"

namespace hso::detail {

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
/// Spanning the whole space is exact, and costs no more than a search where this much is left of it.
constexpr Index kFewLeft = 32;
constexpr Index kShortestSearch = 32;
constexpr std::uint64_t kSearchVectors = std::uint64_t{1} << 32;  // apart from those that repair a basis

}  // namespace

/// Beyond the least extreme pair of each end, by more than two values may differ that are called equal.
template <class T>
typename BlockLanczos<T>::Inside BlockLanczos<T>::inside_of_pairs() const {
  const auto value = [&](Index i) {
    return ritz_.values[static_cast<std::size_t>(chosen_[static_cast<std::size_t>(i)])];
  };
  const double slack = tolerance();
  Inside inside{-kInfinite, kInfinite};
  if (near_) {
    const double radius = std::max(*near_ - value(0), value(count() - 1) - *near_) - slack;
    return {*near_ - radius, *near_ + radius};
  }
  if (o_.which == SpectrumEnd::magnitude) {
    inside.above = kInfinite;
    for (Index i = 0; i < count(); ++i) inside.above = std::min(inside.above, std::abs(value(i)) + slack);
    inside.below = -inside.above;
    return inside;
  }
  const Index low = o_.which == SpectrumEnd::smallest ? count() : o_.which == SpectrumEnd::both ? count() / 2 : 0;
  if (low > 0) inside.below = value(low - 1) - slack;
  if (low < count()) inside.above = value(low) + slack;
  return inside;
}

template <class T>
bool BlockLanczos<T>::beyond_is_impossible(const Inside& inside) const {
  if (near_) return inside.below >= inside.above;
  const bool none_below = inside.below == -kInfinite || (o_.lower_bound && inside.below <= *o_.lower_bound);
  return out_.scale == 0 || (none_below && inside.above == kInfinite);
}

template <class T>
bool BlockLanczos<T>::spans_all_soon() const {
  const Index m = basis_.size();
  return capacity_ == n_ && out_.restarts == 0 && n_ - m <= std::max(kFewLeft, m / 4) &&
         most_products() - out_.products >= n_ - m;
}

/// All wanted pairs have converged. Leaves `stop` empty where there is more to do.
template <class T>
void BlockLanczos<T>::end_with_pairs(bool stopped) {
  const Inside inside = inside_of_pairs();
  const bool spent = out_.products >= most_products() || stopped;
  if (o_.confidence > 0 && beyond_is_impossible(inside))
    out_.extremes = {.confirmed = true, .confidence = 1, .below = inside.below, .above = inside.above};
  else if (o_.confidence > 0 && !spent)
    return spans_all_soon() ? void() : begin_search();
  out_.stop = "converged";
}

template <class T>
void BlockLanczos<T>::begin_search() {
  double leaked = 0;
  for (Index i : chosen_) leaked += residual(i) * residual(i);
  leaked = std::sqrt(leaked);
  const bool keeps_rows = block_ < widest_;
  if (!keeps_rows && leaked > tolerance() / 8) return;  // what is given up must not count: converge further
  auto& ops = a_.context().template ops<T>();
  search_ = {.on = true, .inside = inside_of_pairs(), .width = block_, .aside = keeps_rows ? block_ : 0};
  search_.begun = out_.products;
  search_.leaked = leaked;
  const Index m = out_.products, usual = std::max(kShortestSearch, m < n_ ? 2 * m : m / 4);
  search_.products = std::min(m < n_ ? std::min(usual, n_ - m) : usual, most_products() - m);
  for (Index k = 0; k < count(); ++k) {
    search_.values.push_back(ritz_.values[static_cast<std::size_t>(chosen_[static_cast<std::size_t>(k)])]);
    search_.residuals.push_back(error_of(k));
  }
  for (Index i = search_.aside; i-- > 0;)
    ops.copy(n_, basis_.row(basis_.size() + i), basis_.row(capacity_ + widest_ - search_.aside + i));
  if (!keeps_rows) dropped_ += leaked;
  basis_.recombine(rows_of(chosen_), count(), 0);
  std::fill(t_.begin(), t_.end(), 0);
  for (Index i = 0; i < count(); ++i) t(i, i) = search_.values[static_cast<std::size_t>(i)];
  T* start = basis_.row(count());
  const auto stream = kSearchVectors + static_cast<std::uint64_t>(out_.products);
  ops.for_each(1, n_, RandomFill<T>{start, o_.seed, stream, Distribution::normal, 0, 1});
  std::vector<double> r;
  basis_.orthonormalize(count(), 1, 1, o_.seed, r);
  block_ = 1;
  looked_ = count();
}

/// Of vectors that follow each other, from the first of them on.
template <class T>
LanczosRecurrence BlockLanczos<T>::recurrence(Index first) {
  LanczosRecurrence r;
  for (Index i = first; i < basis_.size(); ++i) {
    r.diagonal.push_back(t(i, i));
    r.off_diagonal.push_back(i + 1 < basis_.size() ? t(i + 1, i) : leak_.front());
  }
  return r;
}

/// A Ritz value that is more extreme shows an eigenvalue that is, however far it is from converged (Cauchy).
template <class T>
bool BlockLanczos<T>::found_beyond(const LanczosRecurrence& r) const {
  const std::vector<double> values = host_eigenvalues(r.diagonal, {r.off_diagonal.begin(), r.off_diagonal.end() - 1});
  return values.front() < search_.inside.below || values.back() > search_.inside.above;
}

template <class T>
void BlockLanczos<T>::look_for_missing(bool stopped) {
  looked_ = basis_.size();
  const LanczosRecurrence r = recurrence(count());
  const bool found = near_ ? found_between(r) : found_beyond(r);
  if (found || block_ == 0) return resume(stopped);
  const bool full = basis_.size() + block_ > capacity_, spent = out_.products - search_.begun >= search_.products;
  if (chance_of_missing(r) > 1 - o_.confidence && !full && !spent && !stopped) return;
  out_.stop = "converged";
  out_.converged = count();
  report_search(r);
}

template <class T>
double BlockLanczos<T>::chance_of_missing(const LanczosRecurrence& r) const {
  if (near_) return chance_between(r);
  const double rounding = least_coupling();
  const auto beyond = [&](double x) {
    return std::isfinite(x) ? chance_of_hiding(n_ - count(), log_hidden_weight(r, x, rounding)) : 0;
  };
  const bool bounded = o_.lower_bound && search_.inside.below <= *o_.lower_bound;
  return (bounded ? 0 : beyond(search_.inside.below)) + beyond(search_.inside.above);
}

template <class T>
void BlockLanczos<T>::report_search(const LanczosRecurrence& r) {
  const Inside inside = search_.inside;
  ExtremesCheck& check = out_.extremes;
  check = {.confirmed = chance_of_missing(r) <= 1 - o_.confidence, .confidence = o_.confidence};
  check.below = inside.below;
  check.above = inside.above;
  check.products = out_.products - search_.begun;
  if (check.confirmed) return;
  if (near_) {
    check.below = check.above = *near_;
    return;
  }
  const double rounding = least_coupling();
  const double chance = 0.5 * (1 - o_.confidence);
  if (std::isfinite(inside.above)) check.above = hidden_beyond(r, n_ - count(), inside.above, 1, chance, rounding);
  if (std::isfinite(inside.below)) {
    check.below = hidden_beyond(r, n_ - count(), inside.below, -1, chance, rounding);
    if (o_.lower_bound) check.below = std::max(check.below, std::min(inside.below, *o_.lower_bound));
  }
}

/// The search ends: its vectors stay, and behind them comes a block of what they leak into, what the pairs leak into
/// and random vectors, twice as wide as the one before, because one direction was too little.
template <class T>
void BlockLanczos<T>::resume(bool stopped) {
  const Index m = basis_.size(), own = block_, aside = search_.aside;
  auto& ops = a_.context().template ops<T>();
  const Index next = std::min({n_ - m, widest_, 2 * search_.width + 1});
  const T* kept = basis_.row(capacity_ + widest_ - aside);
  for (Index i = own; i < next; ++i) {
    T* row = basis_.row(m + i);
    if (i < own + aside) {
      if (const T* from = kept + (i - own) * n_; from != row) ops.copy(n_, from, row);
      continue;
    }
    const auto stream = kSearchVectors + static_cast<std::uint64_t>(out_.products + i);
    ops.for_each(1, n_, RandomFill<T>{row, o_.seed, stream, Distribution::normal, 0, 1});
  }
  std::vector<double> r;
  if (next > own) basis_.orthonormalize(m + own, next - own, 1, o_.seed, r);
  block_ = next;
  steps_since_ = 0;
  const double leaked = search_.leaked;
  search_ = {};
  project();
  if (block_ > 0 && out_.products < most_products() && !stopped) return;
  if (block_ > 0) dropped_ += leaked;  // it ends before those rows are multiplied
  look(stopped);
}

template void BlockLanczos<float>::end_with_pairs(bool);
template LanczosRecurrence BlockLanczos<float>::recurrence(Index);
template void BlockLanczos<float>::look_for_missing(bool);
template void BlockLanczos<double>::end_with_pairs(bool);
template LanczosRecurrence BlockLanczos<double>::recurrence(Index);
template void BlockLanczos<double>::look_for_missing(bool);

}  // namespace hso::detail
