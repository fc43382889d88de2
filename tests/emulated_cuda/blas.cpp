// SPDX-License-Identifier: Apache-2.0
//
// The double of cuBLAS: products by the CPU's BLAS, in full precision whatever the math mode says. Scalars are the
// host's and are read by the call; matrices are read and written when the stream gets there.
#include <cublas_v2.h>

#include <algorithm>

#include "backend/blas.hpp"
#include "library_call.hpp"

using namespace hso::emulated;

struct cublasContext {
  int device;
  cudaStream_t stream;
  void* workspace;  ///< of the user, or nullptr
  std::size_t workspace_bytes;
};

namespace {

constexpr std::size_t kAlignment = 256;       // that cuBLAS asks of a workspace
constexpr std::int64_t kRubbishBytes = 8192;  // of the workspace, in each product: enough to show a use by others

LiveHandles<cublasHandle_t>& handles() {
  static auto& all = *new LiveHandles<cublasHandle_t>;  // handles may be destroyed after static objects
  return all;
}

cublasStatus_t status_of(cudaError_t error) {
  if (error == cudaSuccess) return CUBLAS_STATUS_SUCCESS;
  return error == cudaErrorMemoryAllocation ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_EXECUTION_FAILED;
}

/// What every call that has a handle begins with.
cublasStatus_t begin(cublasHandle_t handle, const std::string& call) {
  progress();
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handles().require(handle, call);
  return status_of(enter(Site::library));
}

template <class T>
struct Factor {
  cublasOperation_t op;
  const T* data;
  std::int64_t ld, stride;

  std::int64_t rows(std::int64_t m, std::int64_t k) const { return op == CUBLAS_OP_N ? m : k; }
  bool is_valid(std::int64_t m, std::int64_t k) const {
    return (op == CUBLAS_OP_N || op == CUBLAS_OP_T) && ld >= std::max<std::int64_t>(1, rows(m, k)) && stride >= 0;
  }
  /// op(data) is m x k.
  Operand operand(const char* name, std::int64_t m, std::int64_t k, std::int64_t batch) const {
    Operand o = matrix(name, data, rows(m, k), op == CUBLAS_OP_N ? k : m, ld, false);
    o.batch = batch;
    o.stride = stride * static_cast<std::int64_t>(sizeof(T));
    return o;
  }
};

/// C = alpha op(A) op(B) + beta C with op(A) of m x k and op(B) of k x n, for each of the batch.
template <class T>
struct Product {
  std::string call;
  std::int64_t m, n, k;
  Factor<T> a, b;
  T* c;
  std::int64_t ldc, stride_c, batch;

  bool is_valid() const {
    return std::min({m, n, k, batch, stride_c}) >= 0 && a.is_valid(m, k) && b.is_valid(k, n) &&
           ldc >= std::max<std::int64_t>(1, m);
  }
  std::vector<Operand> operands() const {
    Operand result = matrix("C", c, m, n, ldc, true);
    result.batch = batch;
    result.stride = stride_c * static_cast<std::int64_t>(sizeof(T));
    return {a.operand("A", m, k, batch), b.operand("B", k, n, batch), std::move(result)};
  }
  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) * static_cast<double>(batch);
  }
  void run(T alpha, T beta) const;
};

// With beta = 0 cuBLAS does not read C, so that NaN there has no effect.
template <class T>
void Product<T>::run(T alpha, T beta) const {
  constexpr int kColumnMajor = 102, kPlain = 111, kTransposed = 112;
  const auto order = [](cublasOperation_t op) { return op == CUBLAS_OP_N ? kPlain : kTransposed; };
  const auto size = [this](std::int64_t value) { return narrow(value, call); };
  for (std::int64_t i = 0; i < batch; ++i) {
    T* result = c + i * stride_c;
    if (beta == T(0)) fill_nan(result, m, n, ldc);
    hso::detail::Blas<T>::gemm(kColumnMajor, order(a.op), order(b.op), size(m), size(n), size(k), alpha,
                               a.data + i * a.stride, size(a.ld), b.data + i * b.stride, size(b.ld), beta, result,
                               size(ldc));
  }
}

// cuBLAS allocates a workspace when it has none from the user, and a graph would keep that address.
void require_workspace(cublasHandle_t handle, const std::string& call) {
  if (is_capturing(handle->stream) && handle->workspace == nullptr)
    violation(call + ": a product is captured without a workspace of the user");
}

template <class T>
void queue(cublasHandle_t handle, const Product<T>& product, T alpha, T beta) {
  require_workspace(handle, product.call);
  const auto workspace =
      array("the workspace", static_cast<char*>(handle->workspace), static_cast<std::int64_t>(handle->workspace_bytes));
  const auto run = [=] { product.run(alpha, beta); };
  queue_call(handle->stream, handle->device, {product.call, product.operands(), product.flops(), run, workspace},
             kRubbishBytes);
}

template <class T>
cublasStatus_t multiply(cublasHandle_t handle, const Product<T>& product, const T* alpha, const T* beta) {
  const std::lock_guard guard(lock());
  if (const cublasStatus_t status = begin(handle, product.call); status != CUBLAS_STATUS_SUCCESS) return status;
  if (!product.is_valid() || alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (product.m > 0 && product.n > 0 && product.batch > 0) queue(handle, product, *alpha, *beta);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  const std::lock_guard guard(lock());
  progress();
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (device_count() == 0) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (const cudaError_t error = enter(Site::library); error != cudaSuccess) return status_of(error);
  *handle = new cublasContext{current_device(), nullptr, nullptr, 0};
  handles().add(*handle);
  return CUBLAS_STATUS_SUCCESS;
}

// Waits for the device, as cuBLAS does, and leaves nothing behind on a lost device either.
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  const std::lock_guard guard(lock());
  progress();
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handles().remove(handle, "cublasDestroy");
  const cudaError_t error = lost();
  if (error == cudaSuccess) drain_all();
  delete handle;
  return status_of(error);
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  const std::lock_guard guard(lock());
  if (const cublasStatus_t status = begin(handle, "cublasSetStream"); status != CUBLAS_STATUS_SUCCESS) return status;
  handle->stream = stream;
  handle->workspace = nullptr;  // documented: the workspace is the default one again
  handle->workspace_bytes = 0;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  const std::lock_guard guard(lock());
  if (const cublasStatus_t status = begin(handle, "cublasSetWorkspace"); status != CUBLAS_STATUS_SUCCESS) return status;
  if (reinterpret_cast<std::uintptr_t>(workspace) % kAlignment != 0) return CUBLAS_STATUS_INVALID_VALUE;
  if (bytes > 0) require_inside(workspace, bytes, Place::device, "cublasSetWorkspace: the workspace");
  handle->workspace = bytes > 0 ? workspace : nullptr;
  handle->workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  const std::lock_guard guard(lock());
  if (const cublasStatus_t status = begin(handle, "cublasSetMathMode"); status != CUBLAS_STATUS_SUCCESS) return status;
  const bool known = mode == CUBLAS_DEFAULT_MATH || mode == CUBLAS_TF32_TENSOR_OP_MATH;
  return known ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode) {
  const std::lock_guard guard(lock());
  if (const cublasStatus_t status = begin(handle, "cublasSetAtomicsMode"); status != CUBLAS_STATUS_SUCCESS)
    return status;
  const bool known = mode == CUBLAS_ATOMICS_NOT_ALLOWED || mode == CUBLAS_ATOMICS_ALLOWED;
  return known ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasSgemm_v2_64(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, std::int64_t m,
                                 std::int64_t n, std::int64_t k, const float* alpha, const float* a, std::int64_t lda,
                                 const float* b, std::int64_t ldb, const float* beta, float* c, std::int64_t ldc) {
  return multiply<float>(handle, {"sgemm", m, n, k, {op_a, a, lda, 0}, {op_b, b, ldb, 0}, c, ldc, 0, 1}, alpha, beta);
}

cublasStatus_t cublasDgemm_v2_64(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, std::int64_t m,
                                 std::int64_t n, std::int64_t k, const double* alpha, const double* a, std::int64_t lda,
                                 const double* b, std::int64_t ldb, const double* beta, double* c, std::int64_t ldc) {
  return multiply<double>(handle, {"dgemm", m, n, k, {op_a, a, lda, 0}, {op_b, b, ldb, 0}, c, ldc, 0, 1}, alpha, beta);
}

cublasStatus_t cublasSgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                                            std::int64_t m, std::int64_t n, std::int64_t k, const float* alpha,
                                            const float* a, std::int64_t lda, long long stride_a, const float* b,
                                            std::int64_t ldb, long long stride_b, const float* beta, float* c,
                                            std::int64_t ldc, long long stride_c, std::int64_t batch) {
  const Product<float> product{"sgemm_batched",          m, n,   k,        {op_a, a, lda, stride_a},
                               {op_b, b, ldb, stride_b}, c, ldc, stride_c, batch};
  return multiply(handle, product, alpha, beta);
}

cublasStatus_t cublasDgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                                            std::int64_t m, std::int64_t n, std::int64_t k, const double* alpha,
                                            const double* a, std::int64_t lda, long long stride_a, const double* b,
                                            std::int64_t ldb, long long stride_b, const double* beta, double* c,
                                            std::int64_t ldc, long long stride_c, std::int64_t batch) {
  const Product<double> product{"dgemm_batched",          m, n,   k,        {op_a, a, lda, stride_a},
                                {op_b, b, ldb, stride_b}, c, ldc, stride_c, batch};
  return multiply(handle, product, alpha, beta);
}
}
