// SPDX-License-Identifier: Apache-2.0
//
// Rows of a dense curvature matrix that belong to one parameter: products with its unit vectors, `lanes` of the tape at
// a time.
#pragma once

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/graph/tape.hpp"

namespace hso::detail {

/// rows[i][j] (+)= d^2 f / d theta[offset + i] d theta[begin + j] for the entries i of the leaf (its place among
/// tape.leaves()) and j in [0, width), the columns of whole leaves that overlap with nothing and of nothing else. Rows
/// lie `stride` apart.
template <class T>
void leaf_rows(Tape<T>& tape, Curvature kind, std::size_t leaf, Index begin, Index width, T* rows, Index stride,
               bool add);

}  // namespace hso::detail
