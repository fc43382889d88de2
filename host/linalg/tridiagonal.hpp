// SPDX-License-Identifier: Apache-2.0
//
// Householder reduction of a symmetric matrix to tridiagonal form in panels, in place, from gemm, dots and axpby alone:
// no size limit but memory, 4/3 n^3 multiply-adds half of which are matrix-vector products. The route to eigenvalues
// where a library's solver has no workspace or no integers large enough (Dongarra, Sorensen and Hammarling, J. Comput.
// Appl. Math. 27 (1989) 215).
#pragma once

#include <vector>

#include "hsogpu/core/context.hpp"

namespace hso::detail {

struct Tridiagonal {
  std::vector<double> diagonal, off_diagonal;  ///< [n], [n - 1]
};

/// A [n][n] with both triangles, entries at most about 1; destroyed.
template <class T>
Tridiagonal tridiagonalize(Context& context, Index n, T* a);

/// Scratch that tridiagonalize takes.
template <class T>
Index tridiagonalize_bytes(Index n);

}  // namespace hso::detail
