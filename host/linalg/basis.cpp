// SPDX-License-Identifier: Apache-2.0
#include "linalg/basis.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hso::detail {

namespace {
constexpr Index kRecombined = Index{1} << 19;  // numbers of the new basis at a time
}

template <class T>
void Basis<T>::project_out(Index against, Index count, T* w, double* h) {
  if (against == 0 || count == 0) return;
  Scratch scratch(context_);
  T* c = scratch.take<T>(against * count);
  std::vector<T> host(h != nullptr ? static_cast<std::size_t>(against * count) : 0);
  for (int pass = 0; pass < 2; ++pass) {
    ops_.gemm({against, count, n_, vectors_.data(), n_, false, w, n_, true, c, count});
    ops_.gemm({count, n_, against, c, count, true, vectors_.data(), n_, false, w, n_, T(-1), T(1)});
    if (h == nullptr) continue;
    context_.to_host(c, host.data(), static_cast<Index>(host.size() * sizeof(T)));
    for (std::size_t i = 0; i < host.size(); ++i) h[i] += static_cast<double>(host[i]);
  }
}

template <class T>
void Basis<T>::randomize(Index i, std::uint64_t seed) {
  ops_.for_each(1, n_, RandomFill<T>{row(i), seed, ++random_vectors_, Distribution::normal, 0, 1});
  project_out(i, 1, row(i), nullptr);
  ops_.axpby(n_, T(0), row(i), static_cast<T>(1 / ops_.nrm2(n_, row(i))), row(i));
}

template <class T>
void Basis<T>::orthonormalize(Index first, Index count, double scale, std::uint64_t seed, std::vector<double>& r) {
  const double negligible = 10 * static_cast<double>(std::numeric_limits<T>::epsilon()) * scale;
  r.assign(static_cast<std::size_t>(count * count), 0);
  const auto at = [&](Index l, Index j) -> double& { return r[static_cast<std::size_t>(l * count + j)]; };
  for (Index j = 0; j < count; ++j) {
    T* w = row(first + j);
    for (int pass = 0; pass < 2; ++pass)
      for (Index l = 0; l < j; ++l) {
        const double c = ops_.dot(n_, row(first + l), w);
        ops_.axpby(n_, static_cast<T>(-c), row(first + l), T(1), w);
        at(l, j) += c;
      }
    const double norm = ops_.nrm2(n_, w);
    if (norm > negligible) {
      at(j, j) = norm;
      ops_.axpby(n_, T(0), w, static_cast<T>(1 / norm), w);
      if (norm > 0.01 * scale) continue;
      // What two passes left of the basis was small beside `scale`, not beside a short vector: twice more.
      project_out(first + j, 1, w, nullptr);
      ops_.axpby(n_, T(0), w, static_cast<T>(1 / ops_.nrm2(n_, w)), w);
    } else {
      randomize(first + j, seed);
    }
  }
}

template <class T>
void Basis<T>::combine(const std::vector<double>& c, Index m, T* out) {
  Scratch scratch(context_);
  const std::vector<T> narrowed(c.begin(), c.end());
  T* device = scratch.take<T>(std::max<Index>(m * size_, 1));
  context_.to_device(narrowed.data(), device, static_cast<Index>(narrowed.size() * sizeof(T)));
  ops_.gemm({m, n_, size_, device, size_, false, vectors_.data(), n_, false, out, n_});
}

template <class T>
void Basis<T>::recombine(const std::vector<double>& c, Index m, Index tail) {
  // Some columns at a time, in place: each needs only itself.
  Scratch scratch(context_);
  const std::vector<T> narrowed(c.begin(), c.end());
  T* device = scratch.take<T>(std::max<Index>(m * size_, 1));
  context_.to_device(narrowed.data(), device, static_cast<Index>(narrowed.size() * sizeof(T)));
  const Index width = std::clamp<Index>(kRecombined / std::max<Index>(m, 1), 1, n_);
  T* part = scratch.take<T>(std::max<Index>(m, 1) * width);
  for (Index first = 0; first < n_; first += width) {
    const Index columns = std::min(width, n_ - first);
    ops_.gemm({m, columns, size_, device, size_, false, row(0) + first, n_, false, part, columns});
    ops_.for_each(m, columns, Axpby<T>{T(1), part, columns, T(0), row(0) + first, n_});
  }
  for (Index i = 0; i < tail; ++i) ops_.copy(n_, row(size_ + i), row(m + i));
  size_ = m;
}

template <class T>
Index Basis<T>::recombine_bytes(Index n, Index capacity) {
  return std::min(std::max(kRecombined, capacity), checked_multiply(capacity, n)) * static_cast<Index>(sizeof(T));
}

template class Basis<float>;
template class Basis<double>;

}  // namespace hso::detail
