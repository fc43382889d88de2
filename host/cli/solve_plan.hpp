// SPDX-License-Identifier: Apache-2.0
//
// What a solution with a curvature matrix takes, known before anything is computed: by the matrix, or by products.
#pragma once

#include "hsogpu/linalg/analysis.hpp"

namespace hso::cli {

/// The matrix and what solve() takes beside it for `count` right-hand sides, whichever of its attempts succeeds: the
/// Cholesky factor, in float32 a second one in float64 where that fits, then eigenvalues with their workspace of two
/// matrices. So a positive definite matrix, for which the first attempt does, takes half of it (float32: a third).
/// MemoryError where there is not even room for three matrices, with the n that would fit.
template <class T>
SpectrumPlan plan_dense_solve(LinearOperator<T>& a, Index count);

/// The vectors of cg or minres; `products` 0: as many as it takes.
template <class T>
SpectrumPlan plan_iterative_solve(LinearOperator<T>& a, Index count, Index products);

}  // namespace hso::cli
