// SPDX-License-Identifier: Apache-2.0
//
// Sums, dot products and maxima in a fixed order: every thread keeps four running sums, a block adds its threads in a
// binary tree, and a second launch adds the pieces of what was cut into pieces. No atomics.
// `partials` is device scratch of the length that the matching *_partials function names (0: it may be null).
#pragma once

#include "hsogpu/detail/ops.hpp"
#include "launch.hpp"

namespace hso::detail {

Index sum_rows_partials(Index lanes, Index rows, Index cols);
Index sum_columns_partials(Index lanes, Index rows, Index cols);
Index vector_partials(Index lanes, Index n);

template <class T>
void launch_sum_rows(const Launch& launch, const ReduceArgs<T>& args, T* partials);
template <class T>
void launch_sum_columns(const Launch& launch, const ReduceArgs<T>& args, T* partials);
/// results[k] = sum_i x_k[i] y_k[i]; `results` is memory that the device can write, pinned host memory too.
template <class T>
void launch_dots(const Launch& launch, Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                 double* partials, double* results);
/// The recurrence, and results[k] = sum_i y_k[i]^2 of what it wrote.
template <class T>
void launch_recur(const Launch& launch, Index lanes, Index n, const LaneRecurrence<T>& op, double* partials,
                  double* results);
/// gram[i][j] = sum_l x_i[l] x_j[l]; `partials` holds vector_partials(rows * rows, n).
template <class T>
void launch_gram(const Launch& launch, Index rows, Index n, const T* x, Index x_stride, double* partials, double* gram);
/// results[0] = max |x_i|, NaN where there is one.
template <class T>
void launch_max_abs(const Launch& launch, Index n, const T* x, double* partials, double* results);
/// results[0] = sum_i x_i^2, results[1] = max |x_i| as above; `partials` holds twice vector_partials(1, n).
template <class T>
void launch_norms(const Launch& launch, Index n, const T* x, double* partials, double* results);
/// at[k] = the first i with the smallest x_k[i], -1 where none is below infinity.
template <class T>
void launch_argmin(const Launch& launch, Index lanes, Index n, const T* x, Index x_stride, Index* at);

}  // namespace hso::detail
