// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>

#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

/// |mean| of the first `count` entries of the diagonal of h[m][m]: what damping is relative to.
template <class T>
double mean_diagonal(Context& context, Index m, const T* h, Index count) {
  Buffer<T> diagonal(context, m);
  context.ops<T>().for_each(1, m, Diagonal<T>{h, diagonal.data(), m});
  const std::vector<T> entries = diagonal.download();
  double sum = 0;
  for (Index i = 0; i < count; ++i) sum += static_cast<double>(entries[static_cast<std::size_t>(i)]);
  return std::abs(sum) / static_cast<double>(std::max<Index>(1, count));
}

}  // namespace hso::detail
