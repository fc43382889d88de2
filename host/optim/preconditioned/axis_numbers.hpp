// SPDX-License-Identifier: Apache-2.0
//
// Memory of methods that keep a matrix for every axis of a tensor.
#pragma once

#include "hsogpu/optim/optimizer.hpp"

namespace hso::detail {

/// Numbers that one square matrix for every axis of every matrix of theta holds, [out][all the others]; an axis longer
/// than `limit` has a diagonal. `vectors`: a tensor of order 1 counts as one axis, else not at all. `bias`: columns
/// count one more.
inline Index axis_numbers(const ParameterLayout& layout, Index limit, bool vectors, bool bias = false) {
  const auto axis = [limit](Index k) { return k <= limit ? checked_multiply(k, k) : k; };
  Index numbers = 0;
  for (const Shape& s : layout.tensors) {
    if (s.rank() >= 2) numbers += axis(s[0]) + axis(s.size() / s[0] + (bias ? 1 : 0));
    if (s.rank() < 2 && vectors) numbers += axis(s.size());
  }
  return numbers;
}

}  // namespace hso::detail
