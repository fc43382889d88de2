// SPDX-License-Identifier: Apache-2.0
#include <climits>
#include <cmath>

#include "check.hpp"
#include "hsogpu/core/error.hpp"
#include "index_math.hpp"
#include "reduce.hpp"
#include "shared_memory.cuh"

namespace hso::detail {

namespace {

constexpr int kThreads = 256, kTile = 32;
constexpr Index kEach = 8;      // elements that a thread adds at least before a reduction is cut into pieces
constexpr Index kEachRow = 32;  // of sums of rows: fewer additions a thread than that cost less than a second launch

struct Plus {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a + b;
  }
};

struct NanMax {
  __device__ double operator()(double a, double b) const { return a > b || a != a ? a : b; }
};

/// A sum of squares with the largest magnitude: two doubles, as they are written.
struct Norms {
  double squares, largest;
};

struct CombineNorms {
  __device__ Norms operator()(Norms a, Norms b) const {
    return {a.squares + b.squares, NanMax{}(a.largest, b.largest)};
  }
};

/// begin, begin + step, ... below end; four loads in flight, four partial results. V() is the neutral element.
template <class V, class Load, class Combine>
__device__ V strided(Index begin, Index end, Index step, Load load, Combine combine) {
  V a{}, b{}, c{}, d{};
  Index i = begin;
  for (; i + 3 * step < end; i += 4 * step) {
    const V w = load(i), x = load(i + step), y = load(i + 2 * step), z = load(i + 3 * step);
    a = combine(a, w);
    b = combine(b, x);
    c = combine(c, y);
    d = combine(d, z);
  }
  for (; i < end; i += step) a = combine(a, load(i));
  return combine(combine(a, b), combine(c, d));
}

/// Threads with position < last end with the sum of those at the same position modulo `last`, up to 2 * first.
template <class V, class Combine>
__device__ V tree(V value, int position, int first, int last, Combine combine) {
  V* shared = shared_memory<V>();
  const int me = static_cast<int>(threadIdx.x);
  shared[me] = value;
  __syncthreads();
  for (int offset = first; offset >= last; offset /= 2) {
    if (position < offset) {
      const V mine = shared[me], other = shared[me + offset];
      shared[me] = combine(mine, other);
    }
    __syncthreads();
  }
  return shared[me];
}

template <class T>
__device__ void write(T* y, T value, T beta) {
  *y = beta == T(0) ? value : beta * *y + value;
}

/// Output lane * parts + part gets the sums of its piece of the rows. A block is a tile of `width` columns.
template <class T>
__global__ void __launch_bounds__(kThreads) sum_rows_kernel(ReduceArgs<T> args, int width, Index tiles, Index parts) {
  const Index block = blockIdx.x, tile = block % tiles, out = block / tiles;
  const Index lane = out / parts;
  const Range range = part_of(args.rows, parts, out % parts);
  const int me = static_cast<int>(threadIdx.x);
  const Index column = tile * width + me % width;
  T sum = 0;
  if (column < args.cols) {
    const T* x = args.x + lane * args.x_stride + column;
    sum = strided<T>(
        range.begin + me / width, range.end, kThreads / width, [&](Index i) { return x[i * args.cols]; }, Plus{});
  }
  sum = tree(sum, me, kThreads / 2, width, Plus{});
  if (me < width && column < args.cols) write(&args.y[out * args.y_stride + column], sum, args.beta);
}

/// y[lane][row][part] gets the sum of a piece of the row. `width` threads share a row.
template <class T>
__global__ void __launch_bounds__(kThreads) sum_columns_kernel(ReduceArgs<T> args, int width, Index parts) {
  const unsigned pieces = static_cast<unsigned>(parts);
  const Index part = blockIdx.x % pieces;
  const int me = static_cast<int>(threadIdx.x), position = me % width;
  const Index segment = static_cast<Index>(blockIdx.x / pieces) * (kThreads / width) + me / width;
  const Index lane = segment / args.rows, row = segment % args.rows;
  const Range range = part_of(args.cols, parts, part);
  T sum = 0;
  if (lane < args.lanes) {
    const T* x = args.x + lane * args.x_stride + row * args.cols;
    sum = strided<T>(
        range.begin + position, range.end, width, [&](Index j) { return x[j]; }, Plus{});
  }
  sum = tree(sum, position, width / 2, 1, Plus{});
  if (position == 0 && lane < args.lanes) write(&args.y[lane * args.y_stride + row * parts + part], sum, args.beta);
}

template <class T>
struct Products {
  using Value = double;
  using Combine = Plus;
  const T* x;
  Index x_stride;
  const T* y;
  Index y_stride;
  __device__ double operator()(Index lane, Index i) const {
    return static_cast<double>(x[lane * x_stride + i]) * static_cast<double>(y[lane * y_stride + i]);
  }
};

/// Writes the recurrence's row on the way.
template <class T>
struct RecurrenceSquares {
  using Value = double;
  using Combine = Plus;
  LaneRecurrence<T> of;
  __device__ double operator()(Index lane, Index i) const {
    const T* factors = of.factors + lane;
    T* y = of.y + lane * of.y_stride + i;
    T written = *y;
    of.element(factors[0], of.w[lane * of.w_stride + i], factors[of.lanes], of.u[lane * of.u_stride + i],
               factors[2 * of.lanes], written);
    *y = written;
    const auto value = static_cast<double>(written);
    return value * value;
  }
};

/// Lane i * rows + j is the product of rows i and j.
template <class T>
struct GramProducts {
  using Value = double;
  using Combine = Plus;
  const T* x;
  Index x_stride, rows;
  __device__ double operator()(Index lane, Index l) const {
    return static_cast<double>(x[lane / rows * x_stride + l]) * static_cast<double>(x[lane % rows * x_stride + l]);
  }
};

struct PartialSums {
  using Value = double;
  using Combine = Plus;
  const double* x;
  Index x_stride;
  __device__ double operator()(Index lane, Index i) const { return x[lane * x_stride + i]; }
};

template <class T>
struct AbsoluteValues {
  using Value = double;
  using Combine = NanMax;
  const T* x;
  __device__ double operator()(Index, Index i) const { return fabs(static_cast<double>(x[i])); }
};

template <class T>
struct SquaresAndMagnitudes {
  using Value = Norms;
  using Combine = CombineNorms;
  const T* x;
  __device__ Norms operator()(Index, Index i) const {
    const auto value = static_cast<double>(x[i]);
    return {value * value, fabs(value)};
  }
};

struct PartialNorms {
  using Value = Norms;
  using Combine = CombineNorms;
  const Norms* x;
  __device__ Norms operator()(Index, Index i) const { return x[i]; }
};

/// out[lane * parts + part] = the combination of terms(lane, i) over a piece of [0, n).
template <class Terms>
__global__ void __launch_bounds__(kThreads)
    combine_kernel(Terms terms, Index n, Index parts, typename Terms::Value* out) {
  using Value = typename Terms::Value;
  const Index block = blockIdx.x, lane = block / parts;
  const Range range = part_of(n, parts, block % parts);
  const int me = static_cast<int>(threadIdx.x);
  typename Terms::Combine combine;
  Value value = strided<Value>(
      range.begin + me, range.end, kThreads, [&](Index i) { return terms(lane, i); }, combine);
  value = tree(value, me, kThreads / 2, 1, combine);
  if (me == 0) out[block] = value;
}

/// A block a lane: the smaller value, and of equal ones the smaller place.
template <class T>
__global__ void __launch_bounds__(kThreads) argmin_kernel(Index n, const T* x, Index x_stride, Index* at) {
  Index* places = shared_memory<Index>();
  T* values = reinterpret_cast<T*>(places + kThreads);
  const T* lane = x + static_cast<Index>(blockIdx.x) * x_stride;
  const int me = static_cast<int>(threadIdx.x);
  T least = static_cast<T>(INFINITY);
  Index place = -1;
  for (Index i = me; i < n; i += kThreads) {
    if (lane[i] < least) {
      least = lane[i];
      place = i;
    }
  }
  values[me] = least;
  places[me] = place;
  __syncthreads();
  for (int offset = kThreads / 2; offset >= 1; offset /= 2) {
    if (me < offset) {
      const T other = values[me + offset];
      const Index there = places[me + offset];
      const bool smaller = other < values[me] || (other == values[me] && there < places[me]);
      if (there >= 0 && (places[me] < 0 || smaller)) {
        values[me] = other;
        places[me] = there;
      }
    }
    __syncthreads();
  }
  if (me == 0) at[blockIdx.x] = places[0];
}

/// Blocks of kThreads threads that share a V each.
template <class V>
LaunchShape shape(Index blocks) {
  if (blocks > INT_MAX) throw InputError("reduce: more than 2^31 thread blocks are needed, expected a smaller shape");
  return {static_cast<unsigned>(blocks), kThreads, kThreads * sizeof(V)};
}

int rows_width(Index cols) { return power_of_two_above(cols, kTile); }

int columns_width(Index cols) { return power_of_two_above(ceil_divide(cols, 4), kThreads); }

Index rows_parts(Index lanes, Index rows, Index cols) {
  const int width = rows_width(cols);
  return reduction_parts(rows, lanes * ceil_divide(cols, width), kEachRow * (kThreads / width));
}

Index columns_parts(Index lanes, Index rows, Index cols) {
  return columns_width(cols) < kThreads ? 1 : reduction_parts(cols, lanes * rows, kEach * kThreads);
}

Index vector_parts(Index lanes, Index n) { return reduction_parts(n, lanes, kEach * kThreads); }

template <class T>
void sum_rows_once(const Launch& launch, const ReduceArgs<T>& args, Index parts) {
  const int width = rows_width(args.cols);
  const Index tiles = ceil_divide(args.cols, width);
  launch_kernel(launch, shape<T>(args.lanes * parts * tiles), sum_rows_kernel<T>, args, width, tiles, parts);
}

template <class T>
void sum_columns_once(const Launch& launch, const ReduceArgs<T>& args, Index parts) {
  const int width = columns_width(args.cols);
  const Index groups = ceil_divide(args.lanes * args.rows, kThreads / width);
  launch_kernel(launch, shape<T>(groups * parts), sum_columns_kernel<T>, args, width, parts);
}

template <class Terms>
void combine_once(const Launch& launch, const Terms& terms, Index lanes, Index n, Index parts,
                  typename Terms::Value* out) {
  launch_kernel(launch, shape<typename Terms::Value>(lanes * parts), combine_kernel<Terms>, terms, n, parts, out);
}

}  // namespace

Index sum_rows_partials(Index lanes, Index rows, Index cols) {
  const Index parts = rows_parts(lanes, rows, cols);
  return parts > 1 ? lanes * parts * cols : 0;
}

Index sum_columns_partials(Index lanes, Index rows, Index cols) {
  const Index parts = columns_parts(lanes, rows, cols);
  return parts > 1 ? lanes * rows * parts : 0;
}

Index vector_partials(Index lanes, Index n) {
  const Index parts = vector_parts(lanes, n);
  return parts > 1 ? lanes * parts : 0;
}

template <class T>
void launch_sum_rows(const Launch& launch, const ReduceArgs<T>& args, T* partials) {
  if (args.lanes <= 0 || args.cols <= 0) return;
  const Index parts = rows_parts(args.lanes, args.rows, args.cols), cols = args.cols;
  if (parts == 1) return sum_rows_once(launch, args, 1);
  sum_rows_once<T>(launch, {args.lanes, args.rows, cols, args.x, args.x_stride, partials, cols, T(0)}, parts);
  sum_rows_once<T>(launch, {args.lanes, parts, cols, partials, parts * cols, args.y, args.y_stride, args.beta}, 1);
}

template <class T>
void launch_sum_columns(const Launch& launch, const ReduceArgs<T>& args, T* partials) {
  if (args.lanes <= 0 || args.rows <= 0) return;
  const Index parts = columns_parts(args.lanes, args.rows, args.cols), stride = args.rows * parts;
  if (parts == 1) return sum_columns_once(launch, args, 1);
  sum_columns_once<T>(launch, {args.lanes, args.rows, args.cols, args.x, args.x_stride, partials, stride, T(0)}, parts);
  sum_columns_once<T>(launch, {args.lanes, args.rows, parts, partials, stride, args.y, args.y_stride, args.beta}, 1);
}

template <class T>
void launch_dots(const Launch& launch, Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                 double* partials, double* results) {
  const Index parts = vector_parts(lanes, n);
  combine_once(launch, Products<T>{x, x_stride, y, y_stride}, lanes, n, parts, parts == 1 ? results : partials);
  if (parts > 1) combine_once(launch, PartialSums{partials, parts}, lanes, parts, 1, results);
}

template <class T>
void launch_recur(const Launch& launch, Index lanes, Index n, const LaneRecurrence<T>& op, double* partials,
                  double* results) {
  const Index parts = vector_parts(lanes, n);
  combine_once(launch, RecurrenceSquares<T>{op}, lanes, n, parts, parts == 1 ? results : partials);
  if (parts > 1) combine_once(launch, PartialSums{partials, parts}, lanes, parts, 1, results);
}

template <class T>
void launch_gram(const Launch& launch, Index rows, Index n, const T* x, Index x_stride, double* partials,
                 double* gram) {
  const Index pairs = rows * rows, parts = vector_parts(pairs, n);
  combine_once(launch, GramProducts<T>{x, x_stride, rows}, pairs, n, parts, parts == 1 ? gram : partials);
  if (parts > 1) combine_once(launch, PartialSums{partials, parts}, pairs, parts, 1, gram);
}

template <class T>
void launch_max_abs(const Launch& launch, Index n, const T* x, double* partials, double* results) {
  const Index parts = vector_parts(1, n);
  combine_once(launch, AbsoluteValues<T>{x}, 1, n, parts, parts == 1 ? results : partials);
  if (parts > 1) combine_once(launch, AbsoluteValues<double>{partials}, 1, parts, 1, results);
}

template <class T>
void launch_norms(const Launch& launch, Index n, const T* x, double* partials, double* results) {
  const Index parts = vector_parts(1, n);
  auto* pieces = reinterpret_cast<Norms*>(partials);
  auto* all = reinterpret_cast<Norms*>(results);
  combine_once(launch, SquaresAndMagnitudes<T>{x}, 1, n, parts, parts == 1 ? all : pieces);
  if (parts > 1) combine_once(launch, PartialNorms{pieces}, 1, parts, 1, all);
}

template <class T>
void launch_argmin(const Launch& launch, Index lanes, Index n, const T* x, Index x_stride, Index* at) {
  if (lanes <= 0) return;
  LaunchShape blocks = shape<T>(lanes);
  blocks.shared_bytes += kThreads * sizeof(Index);
  launch_kernel(launch, blocks, argmin_kernel<T>, n, x, x_stride, at);
}

template void launch_sum_rows<float>(const Launch&, const ReduceArgs<float>&, float*);
template void launch_sum_rows<double>(const Launch&, const ReduceArgs<double>&, double*);
template void launch_sum_columns<float>(const Launch&, const ReduceArgs<float>&, float*);
template void launch_sum_columns<double>(const Launch&, const ReduceArgs<double>&, double*);
template void launch_dots<float>(const Launch&, Index, Index, const float*, Index, const float*, Index, double*,
                                 double*);
template void launch_dots<double>(const Launch&, Index, Index, const double*, Index, const double*, Index, double*,
                                  double*);
template void launch_recur<float>(const Launch&, Index, Index, const LaneRecurrence<float>&, double*, double*);
template void launch_gram<float>(const Launch&, Index, Index, const float*, Index, double*, double*);
template void launch_max_abs<float>(const Launch&, Index, const float*, double*, double*);
template void launch_recur<double>(const Launch&, Index, Index, const LaneRecurrence<double>&, double*, double*);
template void launch_gram<double>(const Launch&, Index, Index, const double*, Index, double*, double*);
template void launch_max_abs<double>(const Launch&, Index, const double*, double*, double*);
template void launch_norms<float>(const Launch&, Index, const float*, double*, double*);
template void launch_norms<double>(const Launch&, Index, const double*, double*, double*);
template void launch_argmin<float>(const Launch&, Index, Index, const float*, Index, Index*);
template void launch_argmin<double>(const Launch&, Index, Index, const double*, Index, Index*);

}  // namespace hso::detail
