// SPDX-License-Identifier: Apache-2.0
#include "prune/select/group_inverse.hpp"

#include <cmath>
#include <limits>

#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

template <class T>
GroupInverse<T>::GroupInverse(Context& context, Index m, Buffer<T> p, const std::vector<T>& w, std::vector<double> b)
    : context_(context), m_(m), p_(std::move(p)), w_(context, w), b_(std::move(b)) {}

template <class T>
void GroupInverse<T>::gather(const T* from, Index rows, const Buffer<Index>& q, T* to) {
  context_.ops<T>().for_each(rows, q.size(), GatherEntries<T>{from, m_, q.data(), to, q.size()});
}

/// block[q][q] = the Cholesky factor of P_QQ. What is not finite is refused here: factorisations may let NaN through.
template <class T>
bool GroupInverse<T>::factor(const std::vector<Index>& q, T* block) {
  const Buffer<Index> where(context_, q);
  const Index size = where.size();
  const BlockingWork work(size);
  auto& ops = context_.ops<T>();
  ops.for_each(size, size, GatherBlock<T>{p_.data(), m_, where.data(), block, size, T(0)});
  return std::isfinite(ops.max_abs(size * size, block)) && ops.potrf(size, block) == 0;
}

template <class T>
double GroupInverse<T>::cost(const std::vector<Index>& q) {
  const auto size = static_cast<Index>(q.size());
  if (size == 0) return 0;
  Scratch scratch(context_);
  T* block = scratch.take<T>(size * size);
  if (!factor(q, block)) return std::numeric_limits<double>::infinity();
  T* mine = scratch.take<T>(rows() * size);
  T* solved = scratch.take<T>(rows() * size);
  const Buffer<Index> where(context_, q);
  gather(w_.data(), rows(), where, mine);
  auto& ops = context_.ops<T>();
  ops.copy(rows() * size, mine, solved);
  ops.potrs(size, rows(), block, solved);
  std::vector<double> products(b_.size());
  ops.dots(rows(), size, mine, size, solved, size, products.data());
  double sum = 0;
  for (std::size_t r = 0; r < b_.size(); ++r) sum += 0.5 * b_[r] * products[r];
  return sum;
}

template <class T>
void GroupInverse<T>::remove(const std::vector<Index>& q, bool compensate) {
  const auto size = static_cast<Index>(q.size());
  if (size == 0) return;
  Scratch scratch(context_);
  T* block = scratch.take<T>(size * size);
  const bool solvable = factor(q, block);
  const Buffer<Index> where(context_, q);
  auto& ops = context_.ops<T>();
  if (solvable) {
    T* columns = scratch.take<T>(m_ * size);  // P_:Q, then Z
    T* kept = scratch.take<T>(m_ * size);
    T* lost = scratch.take<T>(rows() * size);
    gather(p_.data(), m_, where, columns);
    ops.copy(m_ * size, columns, kept);
    ops.potrs(size, m_, block, columns);
    gather(w_.data(), rows(), where, lost);
    const auto subtract = [&](Index rows, const T* a, T* c) {
      ops.gemm({.m = rows,
                .n = m_,
                .k = size,
                .a = a,
                .lda = size,
                .trans_a = false,
                .b = columns,
                .ldb = size,
                .trans_b = true,
                .c = c,
                .ldc = m_,
                .alpha = T(-1),
                .beta = T(1)});
    };
    if (compensate) subtract(rows(), lost, w_.data());
    subtract(m_, kept, p_.data());
  } else {
    uncompensated_ += size;
  }
  // What rounding left of the removed rows and columns; a unit diagonal keeps every later block factorable.
  const std::vector<T> nothing(static_cast<std::size_t>(std::max(rows(), m_) * size), T(0));
  const Buffer<T> zeros(context_, nothing);
  ops.for_each(rows(), size, ScatterEntries<T>{zeros.data(), size, where.data(), w_.data(), m_});
  ops.for_each(m_, size, ScatterEntries<T>{zeros.data(), size, where.data(), p_.data(), m_});
  for (const Index i : q) {
    ops.fill(m_, T(0), p_.data() + i * m_);
    ops.fill(1, T(1), p_.data() + i * m_ + i);
  }
}

template class GroupInverse<float>;
template class GroupInverse<double>;

}  // namespace hso::detail
