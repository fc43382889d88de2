// SPDX-License-Identifier: Apache-2.0
//
// Sums in a fixed order: blocks whose size depends on the shape alone, whatever the number of threads, each summed in
// double, then combined from first to last.
#include <omp.h>

#include <algorithm>
#include <limits>

#include "backend/cpu_ops.hpp"

namespace hso::detail {

namespace {

constexpr Index kBlock = 4096;        // elements of one partial sum
constexpr Index kParallel = 1 << 15;  // elements below which waking the threads costs more than the sum
constexpr Index kColumns = 128;       // columns whose sums stay in registers and the first-level cache

int threads_for(Index elements) { return elements > kParallel && !omp_in_parallel() ? omp_get_max_threads() : 1; }

template <class T>
double sum_block(Index n, const T* x) {
  double sum = 0;
  if (n < 32) {  // too short to fill vectors
    for (Index i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
    return sum;
  }
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

template <class T>
double dot_block(Index n, const T* x, const T* y) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return sum;
}

/// The bits of |x| order like |x|, with infinity and NaN on top.
template <class T, class Bits>
Bits max_bits(Index n, const T* x) {
  Bits top = 0;
#pragma omp simd reduction(max : top)
  for (Index i = 0; i < n; ++i) {
    const Bits bits = bits_as<Bits>(x[i]) & std::numeric_limits<Bits>::max();
    top = bits > top ? bits : top;
  }
  return top;
}

/// The first of the smallest of x[0..n), -1 where none is below infinity. The value first, which vectors find, then
/// its place.
template <class T>
Index first_smallest(Index n, const T* x) {
  T least = std::numeric_limits<T>::infinity();
#pragma omp simd reduction(min : least)
  for (Index i = 0; i < n; ++i) least = x[i] < least ? x[i] : least;
  if (least == std::numeric_limits<T>::infinity()) return -1;
  return std::find(x, x + n, least) - x;
}

/// sums[p] = block(item, first, count) for the blocks of `items` rows of n elements, [items][blocks of a row].
template <class Block>
void block_sums(Index items, Index n, Index blocks, double* sums, const Block& block) {
#pragma omp parallel for schedule(static) num_threads(threads_for(items* n)) if (items * n > kParallel)
  for (Index p = 0; p < items * blocks; ++p) {
    const Index first = p % blocks * kBlock;
    sums[p] = block(p / blocks, first, std::min(kBlock, n - first));
  }
}

double in_order(Index n, const double* sums) {
  double total = 0;
  for (Index i = 0; i < n; ++i) total += sums[i];
  return total;
}

Index blocks_of(Index n) { return std::max<Index>(1, (n + kBlock - 1) / kBlock); }

template <class T>
T combined(double sum, const T* old, T beta) {
  return beta == T(0) ? static_cast<T>(sum) : static_cast<T>(sum + static_cast<double>(beta) * *old);
}

/// sums[j] = sum of rows [first, last) of columns [begin, begin + count).
template <class T>
void sum_tile(const T* x, Index cols, Index first, Index last, Index begin, Index count, double* sums) {
  double local[kColumns] = {};
  for (Index i = first; i < last; ++i) {
    const T* row = x + i * cols + begin;
#pragma omp simd
    for (Index j = 0; j < count; ++j) local[j] += static_cast<double>(row[j]);
  }
  std::copy_n(local, count, sums);
}

}  // namespace

template <class T>
double* CpuOps<T>::partials(Index n) {
  if (static_cast<Index>(partials_.size()) < n) partials_.resize(static_cast<std::size_t>(n));
  return partials_.data();
}

template <class T>
void CpuOps<T>::dots(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride, double* host) {
  const InUse in_use(context_);
  const Index blocks = blocks_of(n);
  double* sums = partials(lanes * blocks);
  block_sums(lanes, n, blocks, sums, [=](Index lane, Index first, Index count) {
    return dot_block(count, x + lane * x_stride + first, y + lane * y_stride + first);
  });
  for (Index k = 0; k < lanes; ++k) host[k] = in_order(blocks, sums + k * blocks);
}

/// One sweep: a block's squares are summed while it is in the first-level cache.
template <class T>
void CpuOps<T>::recur(Index lanes, Index n, const LaneRecurrence<T>& op, double* squares) {
  const InUse in_use(context_);
  const Index blocks = blocks_of(n);
  double* sums = partials(lanes * blocks);
  block_sums(lanes, n, blocks, sums, [&op](Index lane, Index first, Index count) {
    const LaneRecurrence<T> f = op;
#pragma omp simd
    for (Index i = first; i < first + count; ++i) run_element(f, lane, i);
    const T* y = f.y + lane * f.y_stride + first;
    return dot_block(count, y, y);
  });
  for (Index k = 0; k < lanes; ++k) squares[k] = in_order(blocks, sums + k * blocks);
}

template <class T>
void CpuOps<T>::sum_columns(const ReduceArgs<T>& r) {
  const InUse in_use(context_);
  const Index items = r.lanes * r.rows, blocks = blocks_of(r.cols);
  double* sums = partials(items * blocks);
  block_sums(items, r.cols, blocks, sums, [&r](Index item, Index first, Index count) {
    return sum_block(count, r.x + item / r.rows * r.x_stride + item % r.rows * r.cols + first);
  });
  for (Index item = 0; item < items; ++item) {
    T* y = r.y + item / r.rows * r.y_stride + item % r.rows;
    *y = combined(in_order(blocks, sums + item * blocks), y, r.beta);
  }
}

template <class T>
void CpuOps<T>::sum_rows(const ReduceArgs<T>& r) {
  const InUse in_use(context_);
  const Index height = std::max<Index>(64, kParallel / std::max<Index>(1, r.cols));
  const Index bands = std::max<Index>(1, (r.rows + height - 1) / height), tiles = (r.cols + kColumns - 1) / kColumns;
  double* sums = partials(r.lanes * bands * r.cols);
  const Index work = r.lanes * r.rows * r.cols;
#pragma omp parallel for schedule(static) num_threads(threads_for(work)) if (work > kParallel)
  for (Index p = 0; p < r.lanes * bands * tiles; ++p) {
    const Index tile = p % tiles, band = p / tiles % bands, lane = p / tiles / bands, begin = tile * kColumns;
    sum_tile(r.x + lane * r.x_stride, r.cols, band * height, std::min(r.rows, (band + 1) * height), begin,
             std::min(kColumns, r.cols - begin), sums + (lane * bands + band) * r.cols + begin);
  }
  for (Index lane = 0; lane < r.lanes; ++lane) {
    for (Index j = 0; j < r.cols; ++j) {
      double total = 0;
      for (Index band = 0; band < bands; ++band) total += sums[(lane * bands + band) * r.cols + j];
      T* y = r.y + lane * r.y_stride + j;
      *y = combined(total, y, r.beta);
    }
  }
}

template <class T>
double CpuOps<T>::max_abs(Index n, const T* x) {
  const InUse in_use(context_);
  using Bits = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  const Index blocks = blocks_of(n);
  Bits top = 0;
#pragma omp parallel for schedule(static) num_threads(threads_for(n)) if (n > kParallel) reduction(max : top)
  for (Index b = 0; b < blocks; ++b) {
    const Bits here = max_bits<T, Bits>(std::min(kBlock, n - b * kBlock), x + b * kBlock);
    top = here > top ? here : top;
  }
  return static_cast<double>(bits_as<T>(top));
}

template <class T>
void CpuOps<T>::argmin(Index lanes, Index n, const T* x, Index x_stride, Index* at) {
  const InUse in_use(context_);
#pragma omp parallel for schedule(static) num_threads(threads_for(lanes* n)) if (lanes * n > kParallel)
  for (Index k = 0; k < lanes; ++k) at[k] = first_smallest(n, x + k * x_stride);
}

template double* CpuOps<float>::partials(Index);
template void CpuOps<float>::dots(Index, Index, const float*, Index, const float*, Index, double*);
template void CpuOps<float>::recur(Index, Index, const LaneRecurrence<float>&, double*);
template void CpuOps<float>::sum_columns(const ReduceArgs<float>&);
template void CpuOps<float>::sum_rows(const ReduceArgs<float>&);
template double CpuOps<float>::max_abs(Index, const float*);
template void CpuOps<float>::argmin(Index, Index, const float*, Index, Index*);
template double* CpuOps<double>::partials(Index);
template void CpuOps<double>::dots(Index, Index, const double*, Index, const double*, Index, double*);
template void CpuOps<double>::recur(Index, Index, const LaneRecurrence<double>&, double*);
template void CpuOps<double>::sum_columns(const ReduceArgs<double>&);
template void CpuOps<double>::sum_rows(const ReduceArgs<double>&);
template double CpuOps<double>::max_abs(Index, const double*);
template void CpuOps<double>::argmin(Index, Index, const double*, Index, Index*);

}  // namespace hso::detail
