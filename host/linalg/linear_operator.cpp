// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/linalg/linear_operator.hpp"

#include <algorithm>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "linalg/fitting.hpp"

namespace hso {

using detail::Scratch;

template <class T>
void LinearOperator<T>::to_dense(T* h) {
  const Index n = dimension(), together = std::min(lanes(), n);
  auto& ops = context().template ops<T>();
  Scratch scratch(context());
  T* seeds = scratch.take<T>(together * n);
  for (Index first = 0; first < n; first += together) {
    const Index k = std::min(together, n - first);
    ops.for_each(k, n, detail::UnitVectors<T>{seeds, n, first});
    apply(vector_view<const T>(seeds, n, k), vector_view(h + first * n, n, k));
  }
}

template <class T>
void LinearOperator<T>::diagonal_block(Index begin, Index b, T* h) {
  const Index n = dimension(), together = std::min(lanes(), b);
  detail::require_range("LinearOperator::diagonal_block", begin, b, n);
  auto& ops = context().template ops<T>();
  Scratch scratch(context());
  T* seeds = scratch.take<T>(together * n);
  T* products = scratch.take<T>(together * n);
  for (Index first = 0; first < b; first += together) {
    const Index k = std::min(together, b - first);
    ops.for_each(k, n, detail::UnitVectors<T>{seeds, n, begin + first});
    apply(vector_view<const T>(seeds, n, k), vector_view(products, n, k));
    ops.for_each(k, b, detail::Axpby<T>{T(1), products + begin, n, T(0), h + first * b, b});
  }
}

template class LinearOperator<float>;
template class LinearOperator<double>;

}  // namespace hso
