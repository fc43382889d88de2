// SPDX-License-Identifier: Apache-2.0
#include "optim/hso/rank_one.hpp"

#include <algorithm>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"

namespace hso::detail {

template <class T>
DenseInverse<T>::DenseInverse(Context& context, Index n) : ops_(context.ops<T>()), n_(n) {
  require_memory(context, "hso.rank1: a dense inverse (memory = m holds vectors instead)", n,
                 [](Index m) { return checked_multiply(checked_multiply(m, m), Index{sizeof(T)}); });
  b_ = Buffer<T>(context, n * n);
}

template <class T>
void DenseInverse<T>::reset(double scale) {
  ops_.fill(n_ * n_, T(0), b_.data());
  ops_.for_each(1, n_, AddDiagonal<T>{b_.data(), n_, static_cast<T>(scale)});
}

template <class T>
void DenseInverse<T>::multiply(const T* x, T* out) const {
  ops_.gemm({n_, 1, n_, b_.data(), n_, false, x, 1, false, out, 1});
}

template <class T>
void DenseInverse<T>::add(double scale, const T* v) {
  ops_.gemm({n_, n_, 1, v, 1, false, v, n_, false, b_.data(), n_, static_cast<T>(scale), T(1)});
}

template <class T>
VectorRing<T>::VectorRing(Context& context, Index n, Index capacity, Index sets)
    : context_(context), ops_(context.ops<T>()), n_(n), capacity_(capacity), sets_(sets) {
  const Index rows = sets * capacity;
  require_memory(context, "hso.rank1: the vectors of its memory", n,
                 [=](Index m) { return checked_multiply(checked_multiply(rows, m), Index{sizeof(T)}); });
  rows_ = Buffer<T>(context, rows * n);
  clear();
}

template <class T>
void VectorRing<T>::clear() {
  first_ = count_ = 0;
  ops_.fill(rows_.size(), T(0), rows_.data());  // slots that are not there yet take part with weight 0
}

template <class T>
Index VectorRing<T>::push() {
  if (count_ < capacity_) return slot(count_++);
  const Index oldest = first_;
  first_ = (first_ + 1) % capacity_;
  return oldest;
}

template <class T>
void VectorRing<T>::dots(const T* x, std::vector<double>& host) {
  const Index rows = sets_ * capacity_;
  host.resize(static_cast<std::size_t>(rows));
  ops_.dots(rows, n_, rows_.data(), n_, x, 0, host.data());
}

template <class T>
void VectorRing<T>::combine(const std::vector<double>& c, double beta, T* out) {
  const std::vector<T> narrowed(c.begin(), c.end());
  const Index rows = static_cast<Index>(c.size());
  Scratch scratch(context_);
  T* device = scratch.take<T>(rows);
  context_.to_device(narrowed.data(), device, rows * static_cast<Index>(sizeof(T)));
  ops_.gemm({1, n_, rows, device, rows, false, rows_.data(), n_, false, out, n_, T(1), static_cast<T>(beta)});
}

template class DenseInverse<float>;
template class DenseInverse<double>;
template class VectorRing<float>;
template class VectorRing<double>;

}  // namespace hso::detail
