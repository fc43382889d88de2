// SPDX-License-Identifier: Apache-2.0
#include "optim/hso/krylov_pairs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "hsogpu/linalg/dense.hpp"
#include "linalg/host_eigen.hpp"

namespace hso::detail {
namespace {

Index checked_room(Context& context, Index n, Index steps, Index element) {
  require_memory(context, "hso.lowrank: the vectors of the Krylov space (fewer steps, or hso.cg, take less)", n,
                 [=](Index m) { return checked_multiply(checked_multiply(steps + 1, m), element); });
  return steps + 1;
}

/// Positions of the `count` values of largest size, ascending.
std::vector<Index> largest(const std::vector<double>& values, Index count) {
  std::vector<Index> order(values.size());
  std::iota(order.begin(), order.end(), Index{0});
  const auto size = [&](Index i) { return std::abs(values[static_cast<std::size_t>(i)]); };
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return size(a) > size(b); });
  order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  std::sort(order.begin(), order.end());
  return order;
}

/// Steps whose coefficients wait in device memory for the host, at most; and between two looks, at least.
constexpr Index kSteps = 64, kInterval = 4;
Index log_panels(Index steps) { return std::min(steps, kSteps) + 1; }

}  // namespace

template <class T>
KrylovPairs<T>::KrylovPairs(Context& context, Index n, Index steps)
    : context_(context),
      n_(n),
      steps_(steps),
      basis_(context, n, checked_room(context, n, steps, static_cast<Index>(sizeof(T)))),
      log_(context, log_panels(steps), 1, steps + 1),
      scale_(context, 1) {
  Scratch(context).take<char>(steps * steps * static_cast<Index>(sizeof(T)) + Basis<T>::recombine_bytes(n, steps));
}

template <class T>
Index KrylovPairs<T>::bytes(Index n, Index steps) {
  return checked_multiply(checked_multiply(steps + 1, n), static_cast<Index>(sizeof(T))) +
         PanelLog<T>::bytes(log_panels(steps), 1, steps + 1) + static_cast<Index>(sizeof(double));
}

template <class T>
bool KrylovPairs<T>::refresh(LinearOperator<T>& a, const T* start, Index rank, double tolerance, std::uint64_t seed) {
  begin(start);
  do {
    do advance(a);
    while (!time_to_read(rank));
    if (!collect(seed)) return false;
  } while (!enough(rank, tolerance));
  std::vector<double> c;
  const auto m = static_cast<std::ptrdiff_t>(diagonal_.size());
  for (Index i : chosen_) {
    values_.push_back(ritz_values_[static_cast<std::size_t>(i)]);
    const auto row = ritz_vectors_.begin() + i * m;
    c.insert(c.end(), row, row + m);
  }
  basis_.recombine(c, count(), 0);
  return true;
}

template <class T>
void KrylovPairs<T>::begin(const T* start) {
  diagonal_.clear();
  off_diagonal_.clear();
  values_.clear();
  products_ = looked_ = zeros_seen_ = 0;
  zeros_ = 0;
  wait_for_each_ = !context_.is_cuda();
  log_.clear();
  basis_.resize(0);
  context_.ops<T>().copy(n_, start, basis_.row(0));
  context_.ops<double>().fill(1, 0, scale_.data());
  basis_.append(0, 1, 0, scale_.data(), log_);
}

/// One product, and the next vector behind the basis.
template <class T>
void KrylovPairs<T>::advance(LinearOperator<T>& a) {
  const Index m = basis_.size() + 1;
  basis_.resize(m);
  T* next = basis_.row(m);
  a.apply(vector_view<const T>(basis_.row(m - 1), n_), vector_view(next, n_));
  ++products_;
  context_.ops<T>().dots_on_device(1, n_, next, n_, next, n_, log_.product());
  if (m < n_)
    basis_.append(m, 1, 1, scale_.data(), log_);
  else
    basis_.project_beside(m, m, 1, log_);
}

template <class T>
bool KrylovPairs<T>::time_to_read(Index rank) const {
  const Index m = basis_.size(), interval = std::max<Index>(kInterval, m / 10);
  return wait_for_each_ || m >= std::min(steps_, n_) || !log_.room(1) || (m >= rank && m - looked_ >= interval);
}

/// The rows of T that were made since the last reading. A vector that was rounding, or little beside what was taken off
/// it, is repaired, and what was made from it is dropped. False when a product was not finite.
template <class T>
bool KrylovPairs<T>::collect(std::uint64_t seed) {
  for (PanelNumbers& panel : log_.read()) {
    const Index m = panel.against;
    if (m == 0) continue;  // the first vector
    if (!std::isfinite(panel.product)) return false;
    const bool repaired = basis_.repair({&panel, 1}, scale_.data(), seed, log_);
    diagonal_.push_back(panel.a[static_cast<std::size_t>(m - 1)]);
    off_diagonal_.push_back(m < n_ ? panel.a.back() : 0);
    for (Index i = 0; i + 2 < m; ++i, ++zeros_seen_) zeros_ += std::pow(panel.a[static_cast<std::size_t>(i)], 2);
    if (!repaired) continue;
    basis_.resize(m);
    wait_for_each_ = true;
    return true;
  }
  return true;
}

template <class T>
void KrylovPairs<T>::visit_pairs(StateVisitor& state) {
  state("values", values_);
  Buffer<T> kept(context_, count() * n_);  // behind them are vectors that only a refresh writes
  if (!state.reads()) context_.ops<T>().copy(kept.size(), vectors(), kept.data());
  state("vectors", kept);
  if (state.reads()) context_.ops<T>().copy(kept.size(), kept.data(), vectors());
}

template <class T>
double KrylovPairs<T>::rounding() const {
  const auto m = static_cast<double>(diagonal_.size());
  return zeros_seen_ > 0 ? 2 * std::sqrt(m * zeros_ / static_cast<double>(zeros_seen_)) : 0;
}

/// |A x - value x| is the last off-diagonal times the last entry of the pair's vector in the basis.
template <class T>
bool KrylovPairs<T>::enough(Index rank, double tolerance) {
  const auto m = static_cast<Index>(diagonal_.size());
  const double leak = off_diagonal_.back();
  const bool last = m >= std::min(steps_, n_) || (leak == 0 && m >= rank);
  if (!last && (m < rank || m - looked_ < std::max<Index>(1, m / 10))) return false;
  looked_ = m;
  HostEigen e = host_eigh_tridiagonal(diagonal_, {off_diagonal_.begin(), off_diagonal_.end() - 1});
  ritz_values_ = std::move(e.values);
  ritz_vectors_ = std::move(e.vectors);
  chosen_ = largest(ritz_values_, rank);
  if (last) return true;
  const double limit = std::max(tolerance, 20 * static_cast<double>(std::numeric_limits<T>::epsilon())) *
                       std::max(std::abs(ritz_values_.front()), std::abs(ritz_values_.back()));
  return std::all_of(chosen_.begin(), chosen_.end(), [&](Index i) {
    return std::abs(leak * ritz_vectors_[static_cast<std::size_t>((i + 1) * m - 1)]) <= limit;
  });
}

template class KrylovPairs<float>;
template class KrylovPairs<double>;

}  // namespace hso::detail
