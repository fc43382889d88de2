// SPDX-License-Identifier: Apache-2.0
//
// The double of cuSOLVER: symmetric eigenproblems by LAPACK's divide and conquer. Without vectors A is destroyed, as
// documented: it ends as NaN, and so does whatever else the documentation leaves open.
#include <algorithm>
#include <cmath>

#include "backend/blas.hpp"
#include "solver.hpp"

using namespace hso::emulated;

namespace {

/// Eigenvalues first to last, from 0, of each matrix of a batch. All n are asked for unless a range is.
struct Problem {
  const char* call;
  bool vectors;
  char uplo;
  std::int64_t n, ld, first, last, batch;
};

// Workspace sizes in 64-bit integers: LAPACK's own query rounds in float, and wraps from n = 32,767 on.
template <class T>
int decompose(const Problem& p, T* a, T* w) {
  const char job = p.vectors ? 'V' : 'N';
  const std::int64_t size = p.vectors ? 1 + 6 * p.n + 2 * p.n * p.n : 1 + 66 * p.n;
  const int n = narrow(p.n, p.call), ld = narrow(p.ld, p.call), lwork = narrow(size, p.call),
            liwork = p.vectors ? 3 + 5 * n : 1;
  std::vector<T> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  int info = 0;
  hso::detail::Blas<T>::syevd(&job, &p.uplo, &n, a, &ld, w, work.data(), &lwork, iwork.data(), &liwork, &info, 1, 1);
  return info;
}

// cuSOLVER does not say what it makes of NaN and infinity: no failure here, and no number that means anything.
template <class T>
int solve(const Problem& p, T* a, T* w) {
  bool finite = true;
  for_each_in_triangle(p.uplo, p.n, a, p.ld, [&](const T& value) { finite = finite && std::isfinite(value); });
  const int info = finite ? decompose(p, a, w) : 0;
  const std::int64_t found = finite && info == 0 ? p.last - p.first + 1 : 0;
  if (p.first > 0) {
    std::copy_n(w + p.first, found, w);
    for (std::int64_t j = 0; p.vectors && j < found; ++j) std::copy_n(a + (p.first + j) * p.ld, p.n, a + j * p.ld);
  }
  const std::int64_t kept = p.vectors ? found : 0;
  fill_nan(w + found, p.n - found, 1, p.n);
  fill_nan(a + kept * p.ld, p.n, p.n - kept, p.ld);
  return info;
}

/// Reduction to tridiagonal form; with vectors also divide and conquer at its dearest, and the way back.
double flops(const Problem& p) {
  const auto n = static_cast<double>(p.n);
  return (p.vectors ? 14.0 : 4.0) / 3.0 * n * n * n * static_cast<double>(p.batch);
}

template <class T>
std::vector<Operand> operands(const Problem& p, T* a, T* w, int* info) {
  Operand matrices = matrix("A", a, p.n, p.n, p.ld, true);
  matrices.batch = p.batch;
  matrices.stride = p.n * matrices.pitch;
  return {std::move(matrices), array("W", w, p.n * p.batch), array("info", info, p.batch)};
}

struct Arrays {
  void *a, *w;
  int* info;
};

cusolverStatus_t submit_problem(cusolverDnHandle_t handle, const Problem& p, cudaDataType type, const Arrays& arrays,
                                const Workspace& work) {
  cusolverStatus_t status = CUSOLVER_STATUS_SUCCESS;
  with_type(type, [&]<class T>(T) {
    auto *a = static_cast<T*>(arrays.a), *w = static_cast<T*>(arrays.w);
    const auto run = [p, a, w, info = arrays.info] {
      for (std::int64_t i = 0; i < p.batch; ++i) info[i] = solve(p, a + i * p.n * p.ld, w + i * p.n);
    };
    status = submit(handle, {p.call, operands(p, a, w, arrays.info), flops(p), run}, work,
                    eigen_bytes(p.n, p.batch, p.vectors, type));
  });
  return status;
}

struct Arguments {
  cusolverEigMode_t jobz;
  cublasFillMode_t uplo;
  std::int64_t n;
  cudaDataType type_a;
  const void* a;
  std::int64_t lda;
  cudaDataType type_w;
  const void* w;
  cudaDataType compute;
};

bool is_valid(const Arguments& x) {
  const bool known_mode = x.jobz == CUSOLVER_EIG_MODE_NOVECTOR || x.jobz == CUSOLVER_EIG_MODE_VECTOR;
  return known_mode && is_fill_mode(x.uplo) && is_square(x.n, x.lda) && is_real(x.type_a) && x.type_w == x.type_a &&
         x.compute == x.type_a && (x.n == 0 || (x.a != nullptr && x.w != nullptr));
}

bool is_vectors(cusolverEigMode_t jobz) { return jobz == CUSOLVER_EIG_MODE_VECTOR; }

/// il and iu count from 1. The other kinds of range are not emulated.
bool is_range(cusolverEigRange_t range, std::int64_t n, std::int64_t il, std::int64_t iu, const std::int64_t* found) {
  if (range != CUSOLVER_EIG_RANGE_I) violation("syevdx: this kind of range is not emulated");
  return 1 <= il && il <= iu && iu <= n && found != nullptr;
}

}  // namespace

extern "C" {

cusolverStatus_t cusolverDnXsyevd_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                             cusolverEigMode_t jobz, cublasFillMode_t uplo, std::int64_t n,
                                             cudaDataType type_a, const void* a, std::int64_t lda, cudaDataType type_w,
                                             const void* w, cudaDataType compute, std::size_t* device_bytes,
                                             std::size_t* host_bytes) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, params, "syevd_bufferSize");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (!is_valid({jobz, uplo, n, type_a, a, lda, type_w, w, compute})) return CUSOLVER_STATUS_INVALID_VALUE;
  return answer(eigen_bytes(n, 1, is_vectors(jobz), type_a), device_bytes, host_bytes);
}

cusolverStatus_t cusolverDnXsyevd(cusolverDnHandle_t handle, cusolverDnParams_t params, cusolverEigMode_t jobz,
                                  cublasFillMode_t uplo, std::int64_t n, cudaDataType type_a, void* a, std::int64_t lda,
                                  cudaDataType type_w, void* w, cudaDataType compute, void* device_work,
                                  std::size_t device_bytes, void* host_work, std::size_t host_bytes, int* info) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, params, "syevd");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (!is_valid({jobz, uplo, n, type_a, a, lda, type_w, w, compute})) return CUSOLVER_STATUS_INVALID_VALUE;
  return submit_problem(handle, {"syevd", is_vectors(jobz), letter(uplo), n, lda, 0, n - 1, 1}, type_a, {a, w, info},
                        {device_work, device_bytes, host_work, host_bytes});
}

cusolverStatus_t cusolverDnXsyevdx_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                              cusolverEigMode_t jobz, cusolverEigRange_t range, cublasFillMode_t uplo,
                                              std::int64_t n, cudaDataType type_a, const void* a, std::int64_t lda,
                                              void*, void*, std::int64_t il, std::int64_t iu, std::int64_t* found,
                                              cudaDataType type_w, const void* w, cudaDataType compute,
                                              std::size_t* device_bytes, std::size_t* host_bytes) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, params, "syevdx_bufferSize");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (!is_valid({jobz, uplo, n, type_a, a, lda, type_w, w, compute}) || !is_range(range, n, il, iu, found))
    return CUSOLVER_STATUS_INVALID_VALUE;
  return answer(eigen_bytes(n, 1, is_vectors(jobz), type_a), device_bytes, host_bytes);
}

// The number found is known in the call, for a range of indices.
cusolverStatus_t cusolverDnXsyevdx(cusolverDnHandle_t handle, cusolverDnParams_t params, cusolverEigMode_t jobz,
                                   cusolverEigRange_t range, cublasFillMode_t uplo, std::int64_t n, cudaDataType type_a,
                                   void* a, std::int64_t lda, void*, void*, std::int64_t il, std::int64_t iu,
                                   std::int64_t* found, cudaDataType type_w, void* w, cudaDataType compute,
                                   void* device_work, std::size_t device_bytes, void* host_work, std::size_t host_bytes,
                                   int* info) {
  const std::lock_guard guard(lock());
  cusolverStatus_t status = begin(handle, params, "syevdx");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (!is_valid({jobz, uplo, n, type_a, a, lda, type_w, w, compute}) || !is_range(range, n, il, iu, found))
    return CUSOLVER_STATUS_INVALID_VALUE;
  status = submit_problem(handle, {"syevdx", is_vectors(jobz), letter(uplo), n, lda, il - 1, iu - 1, 1}, type_a,
                          {a, w, info}, {device_work, device_bytes, host_work, host_bytes});
  if (status == CUSOLVER_STATUS_SUCCESS) *found = iu - il + 1;
  return status;
}

cusolverStatus_t cusolverDnXsyevBatched_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                                   cusolverEigMode_t jobz, cublasFillMode_t uplo, std::int64_t n,
                                                   cudaDataType type_a, const void* a, std::int64_t lda,
                                                   cudaDataType type_w, const void* w, cudaDataType compute,
                                                   std::size_t* device_bytes, std::size_t* host_bytes,
                                                   std::int64_t batch) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, params, "syevBatched_bufferSize");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (!is_valid({jobz, uplo, n, type_a, a, lda, type_w, w, compute}) || batch < 0) return CUSOLVER_STATUS_INVALID_VALUE;
  return answer(eigen_bytes(n, batch, is_vectors(jobz), type_a), device_bytes, host_bytes);
}

cusolverStatus_t cusolverDnXsyevBatched(cusolverDnHandle_t handle, cusolverDnParams_t params, cusolverEigMode_t jobz,
                                        cublasFillMode_t uplo, std::int64_t n, cudaDataType type_a, void* a,
                                        std::int64_t lda, cudaDataType type_w, void* w, cudaDataType compute,
                                        void* device_work, std::size_t device_bytes, void* host_work,
                                        std::size_t host_bytes, int* info, std::int64_t batch) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, params, "syevBatched");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (!is_valid({jobz, uplo, n, type_a, a, lda, type_w, w, compute}) || batch < 0) return CUSOLVER_STATUS_INVALID_VALUE;
  return submit_problem(handle, {"syevBatched", is_vectors(jobz), letter(uplo), n, lda, 0, n - 1, batch}, type_a,
                        {a, w, info}, {device_work, device_bytes, host_work, host_bytes});
}
}
