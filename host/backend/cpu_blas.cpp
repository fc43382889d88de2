// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "backend/blas.hpp"
#include "backend/blas_threads.hpp"
#include "backend/cpu_ops.hpp"
#include "backend/range.hpp"
#include "hsogpu/core/error.hpp"

namespace hso::detail {

int blas_int(long long value, const char* what) {
  if (value < 0 || value > INT_MAX)
    throw NumericalError(
        fmt::format("{}: size {} does not fit the 32-bit integers of this BLAS, at most {}", what, value, INT_MAX));
  return static_cast<int>(value);
}

namespace {

int transposed(bool t) { return t ? kTranspose : kNoTranspose; }

/// A product with one column, or one row: y = alpha op(M) x + beta y, M stored [rows][cols].
template <class T>
struct MatrixVector {
  const T* matrix;
  Index rows, cols, ld;
  bool transpose;
  const T* x;
  Index incx;
  T* y;
  Index incy;
};

template <class T>
MatrixVector<T> one_column(const GemmArgs<T>& g) {
  return {.matrix = g.a,
          .rows = g.trans_a ? g.k : g.m,
          .cols = g.trans_a ? g.m : g.k,
          .ld = g.lda,
          .transpose = g.trans_a,
          .x = g.b,
          .incx = g.trans_b ? 1 : g.ldb,
          .y = g.c,
          .incy = g.ldc};
}

template <class T>
MatrixVector<T> one_row(const GemmArgs<T>& g) {
  return {.matrix = g.b,
          .rows = g.trans_b ? g.n : g.k,
          .cols = g.trans_b ? g.k : g.n,
          .ld = g.ldb,
          .transpose = !g.trans_b,
          .x = g.a,
          .incx = g.trans_a ? g.lda : 1,
          .y = g.c,
          .incy = 1};
}

template <class T>
void multiply_vector(const GemmArgs<T>& g, const MatrixVector<T>& v) {
  const Index length = v.transpose ? v.cols : v.rows;
  if (g.beta == T(0))  // 0 * NaN is not 0: what was there must not be read
    for (Index i = 0; i < length; ++i) v.y[i * v.incy] = 0;
  Blas<T>::gemv(kRowMajor, transposed(v.transpose), blas_int(v.rows, "gemm"), blas_int(v.cols, "gemm"), g.alpha,
                v.matrix, blas_int(v.ld, "gemm"), v.x, blas_int(v.incx, "gemm"), g.beta, v.y, blas_int(v.incy, "gemm"));
}

template <class T>
void multiply(const GemmArgs<T>& g) {
  if (g.n == 1) return multiply_vector(g, one_column(g));
  if (g.m == 1) return multiply_vector(g, one_row(g));
  Blas<T>::gemm(kRowMajor, transposed(g.trans_a), transposed(g.trans_b), blas_int(g.m, "gemm"), blas_int(g.n, "gemm"),
                blas_int(g.k, "gemm"), g.alpha, g.a, blas_int(g.lda, "gemm"), g.b, blas_int(g.ldb, "gemm"), g.beta, g.c,
                blas_int(g.ldc, "gemm"));
}

template <class T>
GemmArgs<T> problem(const GemmArgs<T>& all, Index i) {
  GemmArgs<T> one = all;
  one.a += i * all.stride_a;
  one.b += i * all.stride_b;
  one.c += i * all.stride_c;
  return one;
}

/// Problems that share B and lie one below the other are one taller problem.
template <class T>
GemmArgs<T> folded(GemmArgs<T> g) {
  if (g.batch > 1 && !g.trans_a && g.stride_b == 0 && g.stride_a == g.m * g.lda && g.stride_c == g.m * g.ldc) {
    g.m *= g.batch;
    g.batch = 1;
  }
  return g;
}

/// Multiply-adds below which waking a thread costs more than its share saves.
constexpr Index kWorthWaking = 1 << 17;

/// Parts that are worth a thread each, at most `most`.
template <class T>
int parts_of(const GemmArgs<T>& g, int most) {
  const Index work = g.batch * g.m * g.n * std::max<Index>(g.k, 1);
  return static_cast<int>(std::clamp<Index>(work / kWorthWaking, 1, most));
}
/// Tiles into which a product is cut where the number of threads must not matter: OpenBLAS rounds a tile as its shape
/// has it.
constexpr int kFixedTiles = 8;

/// One problem cut into rows x columns tiles of C, each a product of its own.
struct Tiling {
  Index rows = 1, columns = 1;
  Index tiles() const { return rows * columns; }
};

/// The tiling into `parts` whose tiles read the least of A and B: each reads k (m / rows + n / columns) numbers.
Tiling tiling(Index m, Index n, Index parts) {
  Tiling best{parts, 1};
  const auto perimeter = [&](const Tiling& t) {
    return static_cast<double>(m) / static_cast<double>(t.rows) +
           static_cast<double>(n) / static_cast<double>(t.columns);
  };
  for (Index rows = 1; rows <= parts; ++rows) {
    const Tiling t{rows, parts / rows};
    if (t.tiles() == parts && perimeter(t) < perimeter(best)) best = t;
  }
  return best;
}

template <class T>
GemmArgs<T> tile(GemmArgs<T> g, const Tiling& tiling, Index index) {
  constexpr Index kGrain = 16;  // no register tile of the kernels is cut
  const Range rows = part_of(g.m, index / tiling.columns, tiling.rows, kGrain),
              columns = part_of(g.n, index % tiling.columns, tiling.columns, kGrain);
  g.a += rows.begin * (g.trans_a ? 1 : g.lda);
  g.b += columns.begin * (g.trans_b ? g.ldb : 1);
  g.c += rows.begin * g.ldc + columns.begin;
  g.m = rows.end - rows.begin;
  g.n = columns.end - columns.begin;
  return g;
}

/// Throws here, where it can still be caught, and not in a thread.
template <class T>
void check_sizes(const GemmArgs<T>& g) {
  for (Index size : {g.m, g.n, g.k, g.lda, g.ldb, g.ldc}) blas_int(size, "gemm");
}

/// C = beta C: what is left of a product with k = 0.
template <class T>
void scale(Ops<T>& ops, const GemmArgs<T>& g) {
  if (g.beta == T(0))
    ops.for_each(g.m, g.n, Fill<T>{g.c, g.ldc, T(0)});
  else
    ops.for_each(g.m, g.n, Axpby<T>{T(0), g.c, g.ldc, g.beta, g.c, g.ldc});
}

}  // namespace

/// The threads are ours, one product a thread: OpenBLAS's own wait for each other inside every product, which costs
/// more than it saves at these sizes, and far more when something else runs on the same cores.
template <class T>
void CpuOps<T>::gemm(const GemmArgs<T>& args) {
  const InUse in_use(context_);
  if (args.m <= 0 || args.n <= 0 || args.batch <= 0) return;
  const GemmArgs<T> all = folded(args);
  if (all.k <= 0) {
    for (Index i = 0; i < all.batch; ++i) scale(*this, problem(all, i));
    return;
  }
  check_sizes(all);
  const int threads = omp_in_parallel() ? 1 : parts_of(all, omp_get_max_threads());
  const int parts = deterministic_ ? parts_of(all, kFixedTiles) : threads;
  const Tiling cut = all.batch % parts == 0 ? Tiling{} : tiling(all.m, all.n, parts);
  const BlasThreads one(1);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (Index i = 0; i < all.batch * cut.tiles(); ++i) {
    const GemmArgs<T> part = tile(problem(all, i / cut.tiles()), cut, i % cut.tiles());
    if (part.m > 0 && part.n > 0) multiply(part);
  }
}

template <class T>
void CpuOps<T>::copy(Index n, const T* from, T* to) {
  const InUse in_use(context_);
  constexpr Index kGrain = 1 << 15;
  if (n <= 0 || from == to) return;
  const bool apart = to + n <= from || from + n <= to;
  const int threads =
      apart && !omp_in_parallel() ? static_cast<int>(std::clamp<Index>(n / kGrain, 1, omp_get_max_threads())) : 1;
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
  for (int p = 0; p < threads; ++p) {
    const Range part = part_of(n, p, threads, 64);
    std::memmove(to + part.begin, from + part.begin, static_cast<std::size_t>(part.end - part.begin) * sizeof(T));
  }
}

template void CpuOps<float>::gemm(const GemmArgs<float>&);
template void CpuOps<double>::gemm(const GemmArgs<double>&);
template void CpuOps<float>::copy(Index, const float*, float*);
template void CpuOps<double>::copy(Index, const double*, double*);

}  // namespace hso::detail
