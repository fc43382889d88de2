// SPDX-License-Identifier: Apache-2.0
#include "cuda_ops.hpp"

#include <algorithm>

#include "element_kernels.hpp"
#include "hsogpu/detail/arena.hpp"
#include "reduce.hpp"

namespace hso::detail {

template <class T>
void CudaOps<T>::for_each(Index outer, Index inner, const ElementOp<T>& op) {
  launch_for_each(context_.launch(), outer, inner, op);
}

template <class T>
void CudaOps<T>::sum_rows(const ReduceArgs<T>& args) {
  Scratch scratch(context_);
  T* partials = scratch.take<T>(sum_rows_partials(args.lanes, args.rows, args.cols));
  launch_sum_rows(context_.launch(), args, partials);
}

template <class T>
void CudaOps<T>::sum_columns(const ReduceArgs<T>& args) {
  Scratch scratch(context_);
  T* partials = scratch.take<T>(sum_columns_partials(args.lanes, args.rows, args.cols));
  launch_sum_columns(context_.launch(), args, partials);
}

template <class T>
void CudaOps<T>::dots(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride, double* host) {
  if (n == 0) std::fill_n(host, lanes, 0.0);
  if (n == 0 || lanes <= 0) return;
  context_.require_not_capturing("dots");
  double* results = context_.staging().results();
  for (Index first = 0; first < lanes; first += Staging::kResults) {
    const Index count = std::min(lanes - first, Staging::kResults);
    Scratch scratch(context_);
    double* partials = scratch.take<double>(vector_partials(count, n));
    launch_dots(context_.launch(), count, n, x + first * x_stride, x_stride, y + first * y_stride, y_stride, partials,
                results);
    context_.synchronize();
    std::copy_n(results, count, host + first);
  }
}

template <class T>
void CudaOps<T>::dots_on_device(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                                double* results) {
  if (lanes <= 0) return;
  Scratch scratch(context_);
  double* partials = scratch.take<double>(vector_partials(lanes, n));
  launch_dots(context_.launch(), lanes, n, x, x_stride, y, y_stride, partials, results);
}

template <class T>
void CudaOps<T>::recur(Index lanes, Index n, const LaneRecurrence<T>& op, double* squares) {
  if (lanes <= 0) return;
  Scratch scratch(context_);
  double* partials = scratch.take<double>(vector_partials(lanes, n));
  launch_recur(context_.launch(), lanes, n, op, partials, squares);
}

template <class T>
void CudaOps<T>::gram_on_device(Index rows, Index n, const T* x, Index x_stride, double* gram) {
  if (rows <= 0) return;
  Scratch scratch(context_);
  double* partials = scratch.take<double>(vector_partials(rows * rows, n));
  launch_gram(context_.launch(), rows, n, x, x_stride, partials, gram);
}

template <class T>
void CudaOps<T>::norms_on_device(Index n, const T* x, double* results) {
  Scratch scratch(context_);
  double* partials = scratch.take<double>(2 * vector_partials(1, n));
  launch_norms(context_.launch(), n, x, partials, results);
}

template <class T>
void CudaOps<T>::argmin(Index lanes, Index n, const T* x, Index x_stride, Index* at) {
  launch_argmin(context_.launch(), lanes, n, x, x_stride, at);
}

template <class T>
double CudaOps<T>::max_abs(Index n, const T* x) {
  if (n == 0) return 0;
  context_.require_not_capturing("max_abs");
  Scratch scratch(context_);
  double* partials = scratch.take<double>(vector_partials(1, n));
  launch_max_abs(context_.launch(), n, x, partials, context_.staging().results());
  context_.synchronize();
  return *context_.staging().results();
}

template <class T>
void CudaOps<T>::copy(Index n, const T* from, T* to) {
  if (n == 0 || from == to) return;
  const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T);
  HSO_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, context_.stream()));
}

template <class T>
Index CudaOps<T>::chunk_bytes() const {
  return std::clamp(context_.total_bytes() / 64, Index{64} << 20, Index{1} << 30);
}

template void CudaOps<float>::for_each(Index, Index, const ElementOp<float>&);
template void CudaOps<float>::sum_rows(const ReduceArgs<float>&);
template void CudaOps<float>::sum_columns(const ReduceArgs<float>&);
template void CudaOps<float>::dots(Index, Index, const float*, Index, const float*, Index, double*);
template void CudaOps<float>::dots_on_device(Index, Index, const float*, Index, const float*, Index, double*);
template void CudaOps<float>::recur(Index, Index, const LaneRecurrence<float>&, double*);
template void CudaOps<float>::gram_on_device(Index, Index, const float*, Index, double*);
template void CudaOps<float>::norms_on_device(Index, const float*, double*);
template double CudaOps<float>::max_abs(Index, const float*);
template void CudaOps<float>::argmin(Index, Index, const float*, Index, Index*);
template void CudaOps<float>::copy(Index, const float*, float*);
template Index CudaOps<float>::chunk_bytes() const;
template void CudaOps<double>::for_each(Index, Index, const ElementOp<double>&);
template void CudaOps<double>::sum_rows(const ReduceArgs<double>&);
template void CudaOps<double>::sum_columns(const ReduceArgs<double>&);
template void CudaOps<double>::dots(Index, Index, const double*, Index, const double*, Index, double*);
template void CudaOps<double>::dots_on_device(Index, Index, const double*, Index, const double*, Index, double*);
template void CudaOps<double>::recur(Index, Index, const LaneRecurrence<double>&, double*);
template void CudaOps<double>::gram_on_device(Index, Index, const double*, Index, double*);
template void CudaOps<double>::norms_on_device(Index, const double*, double*);
template double CudaOps<double>::max_abs(Index, const double*);
template void CudaOps<double>::argmin(Index, Index, const double*, Index, Index*);
template void CudaOps<double>::copy(Index, const double*, double*);
template Index CudaOps<double>::chunk_bytes() const;

}  // namespace hso::detail
