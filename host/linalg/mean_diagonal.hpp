// SPDX-License-Identifier: Apache-2.0
//
// The mean of a diagonal, in which dampings are measured.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

/// |mean| of the first `count` entries of the diagonal of h[m][m]: what damping is relative to.
template <class T>
double mean_diagonal(Context& context, Index m, const T* h, Index count) {
  Scratch scratch(context);
  T* diagonal = scratch.take<T>(m);
  context.ops<T>().for_each(1, m, Diagonal<T>{h, diagonal, m});
  std::vector<T> entries(static_cast<std::size_t>(m));
  context.to_host(diagonal, entries.data(), m * static_cast<Index>(sizeof(T)));
  double sum = 0;
  for (Index i = 0; i < count; ++i) sum += static_cast<double>(entries[static_cast<std::size_t>(i)]);
  return std::abs(sum) / static_cast<double>(std::max<Index>(1, count));
}

}  // namespace hso::detail
