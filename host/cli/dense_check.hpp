// SPDX-License-Identifier: Apache-2.0
//
// A dense curvature matrix: what it takes, and whether it is what its products say.
#pragma once

#include "hsogpu/objective/network_objective.hpp"

namespace hso::cli {

/// Bytes of the matrix and of a tape for `lanes` directions.
template <class T>
Index dense_bytes(const Context& context, const Graph<T>& graph, Index batch, Index lanes, Index n);

/// MemoryError with the bytes needed, the bytes there and the n that would fit, before anything is computed.
template <class T>
void require_dense_memory(Context& context, const Graph<T>& graph, Index batch);

/// |H v - op(v)| / |op(v)| for a random v and h [n][n] in device memory.
template <class T>
double product_difference(LinearOperator<T>& op, const Buffer<T>& h);

/// max |h_ij - h_ji| / max |h_ij|, h [n][n] in host memory.
template <class T>
double asymmetry(Index n, Span<const T> h);

}  // namespace hso::cli
