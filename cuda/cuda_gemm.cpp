// SPDX-License-Identifier: Apache-2.0
#include "cuda_ops.hpp"

namespace hso::detail {

namespace {

// Column-major, as cuBLAS counts: C[m][n] stored by columns.
template <class T>
struct ColumnMajor {
  cublasOperation_t op_a, op_b;
  Index m, n, k;
  const T* a;
  Index lda, stride_a;
  const T* b;
  Index ldb, stride_b;
};

// C' = op(B)' op(A)', and the memory of a row-major matrix is that of its transpose stored by columns.
template <class T>
ColumnMajor<T> column_major(const GemmArgs<T>& g) {
  const auto operation = [](bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  return {operation(g.trans_b), operation(g.trans_a), g.n, g.m, g.k, g.b, g.ldb, g.stride_b, g.a, g.lda, g.stride_a};
}

void multiply(cublasHandle_t handle, const GemmArgs<float>& g) {
  const auto c = column_major(g);
  if (g.batch == 1)
    HSO_CHECK(
        cublasSgemm_64(handle, c.op_a, c.op_b, c.m, c.n, c.k, &g.alpha, c.a, c.lda, c.b, c.ldb, &g.beta, g.c, g.ldc));
  else
    HSO_CHECK(cublasSgemmStridedBatched_64(handle, c.op_a, c.op_b, c.m, c.n, c.k, &g.alpha, c.a, c.lda, c.stride_a, c.b,
                                           c.ldb, c.stride_b, &g.beta, g.c, g.ldc, g.stride_c, g.batch));
}

void multiply(cublasHandle_t handle, const GemmArgs<double>& g) {
  const auto c = column_major(g);
  if (g.batch == 1)
    HSO_CHECK(
        cublasDgemm_64(handle, c.op_a, c.op_b, c.m, c.n, c.k, &g.alpha, c.a, c.lda, c.b, c.ldb, &g.beta, g.c, g.ldc));
  else
    HSO_CHECK(cublasDgemmStridedBatched_64(handle, c.op_a, c.op_b, c.m, c.n, c.k, &g.alpha, c.a, c.lda, c.stride_a, c.b,
                                           c.ldb, c.stride_b, &g.beta, g.c, g.ldc, g.stride_c, g.batch));
}

}  // namespace

/// k = 0: C = beta C.
template <class T>
void CudaOps<T>::scale_result(const GemmArgs<T>& args) {
  for (Index i = 0; i < args.batch; ++i) {
    T* c = args.c + i * args.stride_c;
    if (args.beta == T(0))
      for_each(args.m, args.n, Fill<T>{c, args.ldc, T(0)});
    else
      for_each(args.m, args.n, Axpby<T>{args.beta, c, args.ldc, T(0), c, args.ldc});
  }
}

template <class T>
void CudaOps<T>::gemm(const GemmArgs<T>& args) {
  if (args.m == 0 || args.n == 0 || args.batch == 0) return;
  if (args.k == 0) return scale_result(args);
  context_.with_room([&] { multiply(context_.blas(), args); });
}

template void CudaOps<float>::gemm(const GemmArgs<float>&);
template void CudaOps<double>::gemm(const GemmArgs<double>&);

}  // namespace hso::detail
