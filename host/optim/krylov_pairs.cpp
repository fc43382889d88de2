// SPDX-License-Identifier: Apache-2.0
#include "optim/krylov_pairs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "hsogpu/linalg.hpp"
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

}  // namespace

template <class T>
KrylovPairs<T>::KrylovPairs(Context& context, Index n, Index steps)
    : context_(context),
      n_(n),
      steps_(steps),
      basis_(context, n, checked_room(context, n, steps, static_cast<Index>(sizeof(T)))) {
  Scratch(context).take<char>(steps * steps * static_cast<Index>(sizeof(T)) + Basis<T>::recombine_bytes(n, steps));
}

template <class T>
bool KrylovPairs<T>::refresh(LinearOperator<T>& a, const T* start, Index rank, double tolerance, std::uint64_t seed) {
  auto& ops = context_.template ops<T>();
  diagonal_.clear();
  off_diagonal_.clear();
  values_.clear();
  products_ = looked_ = 0;
  basis_.resize(0);
  ops.axpby(n_, static_cast<T>(1 / ops.nrm2(n_, start)), start, T(0), basis_.row(0));
  do {
    if (!advance(a, seed)) return false;
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

/// One product: the next row of T, and the next vector behind the basis.
template <class T>
bool KrylovPairs<T>::advance(LinearOperator<T>& a, std::uint64_t seed) {
  auto& ops = context_.template ops<T>();
  const Index m = basis_.size() + 1;
  basis_.resize(m);
  T* next = basis_.row(m);
  a.apply(vector_view<const T>(basis_.row(m - 1), n_), vector_view(next, n_));
  ++products_;
  const double size = ops.nrm2(n_, next);
  if (!std::isfinite(size)) return false;
  std::vector<double> h(static_cast<std::size_t>(m), 0), r;
  basis_.project_out(m, 1, next, h.data());
  diagonal_.push_back(h.back());
  if (m == n_) {
    off_diagonal_.push_back(0);
    return true;
  }
  double scale = size;
  for (std::size_t i = 0; i < diagonal_.size(); ++i) scale = std::max(scale, std::abs(diagonal_[i]));
  basis_.orthonormalize(m, 1, scale, seed, r);
  off_diagonal_.push_back(r[0]);
  return true;
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
