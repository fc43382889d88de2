// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <omp.h>

#include <climits>
#include <cstring>

#include "backend/blas.hpp"
#include "backend/cpu_ops.hpp"
#include "hsogpu/error.hpp"

namespace hso::detail {

int blas_int(long long value, const char* what) {
  if (value < 0 || value > INT_MAX)
    throw NumericalError(
        fmt::format("{}: size {} does not fit the 32-bit integers of this BLAS, at most {}", what, value, INT_MAX));
  return static_cast<int>(value);
}

namespace {

constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;

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

/// OpenBLAS takes one thread for a product this small, so a batch of them goes over the threads instead.
template <class T>
int threads_for(const GemmArgs<T>& g) {
  constexpr Index kOneThread = 262144, kWorthWaking = 65536;
  const Index each = g.m * g.n * g.k;
  const bool spread = g.batch > 1 && each <= kOneThread && each * g.batch > kWorthWaking && !omp_in_parallel();
  return spread ? omp_get_max_threads() : 1;
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

template <class T>
void CpuOps<T>::gemm(const GemmArgs<T>& args) {
  if (args.m <= 0 || args.n <= 0) return;
  const GemmArgs<T> all = folded(args);
  const int threads = threads_for(all);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (Index i = 0; i < all.batch; ++i) {
    const GemmArgs<T> one = problem(all, i);
    all.k > 0 ? multiply(one) : scale(*this, one);
  }
}

template <class T>
void CpuOps<T>::copy(Index n, const T* from, T* to) {
  if (n > 0 && from != to) std::memmove(to, from, static_cast<std::size_t>(n) * sizeof(T));
}

template void CpuOps<float>::gemm(const GemmArgs<float>&);
template void CpuOps<double>::gemm(const GemmArgs<double>&);
template void CpuOps<float>::copy(Index, const float*, float*);
template void CpuOps<double>::copy(Index, const double*, double*);

}  // namespace hso::detail
