// SPDX-License-Identifier: Apache-2.0
//
// The double of cuSOLVER: Cholesky by LAPACK. The triangle that is not named is neither read nor written.
#include <algorithm>
#include <climits>
#include <cmath>

#include "backend/blas.hpp"
#include "solver.hpp"

using namespace hso::emulated;

namespace {

template <class T>
using Lapack = hso::detail::Blas<T>;

// Whether cuSOLVER looks for NaN is not documented. Here it does not: NaN in A is NaN in the factor, and info is 0.
template <class T>
int factorise(char uplo, int n, T* a, int lda) {
  bool has_nan = false;
  for_each_in_triangle(uplo, n, a, lda, [&](const T& value) { has_nan = has_nan || std::isnan(value); });
  int info = 0;
  Lapack<T>::potrf(&uplo, &n, a, &lda, &info, 1);
  if (info != 0)  // what a failed factorisation leaves is not documented
    for_each_in_triangle(uplo, n, a, lda, [](T& value) { value = std::numeric_limits<T>::quiet_NaN(); });
  return has_nan ? 0 : info;
}

bool is_triangular_call(cublasFillMode_t uplo, std::int64_t n, std::int64_t lda, cudaDataType a, cudaDataType other) {
  return is_fill_mode(uplo) && is_square(n, lda) && is_real(a) && a == other;
}

double cube(std::int64_t n) { return static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n); }

cusolverStatus_t potri_size(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, int lda, int* lwork,
                            const char* call) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, call);
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  const std::int64_t elements = static_cast<std::int64_t>(n) * n;
  if (!is_fill_mode(uplo) || !is_square(n, lda) || elements > INT_MAX || lwork == nullptr)
    return CUSOLVER_STATUS_INVALID_VALUE;
  *lwork = static_cast<int>(std::max<std::int64_t>(elements, 1));
  return CUSOLVER_STATUS_SUCCESS;
}

/// potri's workspace counts elements, and has no part on the host.
template <class T>
cusolverStatus_t potri(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, T* a, int lda, T* work, int lwork,
                       int* info, const char* call) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, call);
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  const std::int64_t needed = std::max<std::int64_t>(static_cast<std::int64_t>(n) * n, 1);
  if (!is_fill_mode(uplo) || !is_square(n, lda) || lwork < needed) return CUSOLVER_STATUS_INVALID_VALUE;
  const auto run = [=, uplo = letter(uplo)] { Lapack<T>::potri(&uplo, &n, a, &lda, info, 1); };
  return submit(handle, {call,
                         {matrix("A", a, n, n, lda, true), array("info", info, 1)},
                         2 * cube(n) / 3,
                         run,
                         array("the workspace", work, lwork)});
}

}  // namespace

extern "C" {

cusolverStatus_t cusolverDnXpotrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                             cublasFillMode_t uplo, std::int64_t n, cudaDataType type_a, const void*,
                                             std::int64_t lda, cudaDataType compute, std::size_t* device_bytes,
                                             std::size_t* host_bytes) {
  const std::lock_guard guard(lock());
  const cusolverStatus_t status = begin(handle, params, "potrf_bufferSize");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (!is_triangular_call(uplo, n, lda, type_a, compute)) return CUSOLVER_STATUS_INVALID_VALUE;
  return answer(potrf_bytes(n, type_a), device_bytes, host_bytes);
}

cusolverStatus_t cusolverDnXpotrf(cusolverDnHandle_t handle, cusolverDnParams_t params, cublasFillMode_t uplo,
                                  std::int64_t n, cudaDataType type_a, void* a, std::int64_t lda, cudaDataType compute,
                                  void* device_work, std::size_t device_bytes, void* host_work, std::size_t host_bytes,
                                  int* info) {
  const std::lock_guard guard(lock());
  cusolverStatus_t status = begin(handle, params, "potrf");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (!is_triangular_call(uplo, n, lda, type_a, compute)) return CUSOLVER_STATUS_INVALID_VALUE;
  with_type(type_a, [&]<class T>(T) {
    auto* matrix_a = static_cast<T*>(a);
    const auto run = [=] { *info = factorise(letter(uplo), narrow(n, "potrf"), matrix_a, narrow(lda, "potrf")); };
    status =
        submit(handle, {"potrf", {matrix("A", matrix_a, n, n, lda, true), array("info", info, 1)}, cube(n) / 3, run},
               {device_work, device_bytes, host_work, host_bytes}, potrf_bytes(n, type_a));
  });
  return status;
}

cusolverStatus_t cusolverDnXpotrs(cusolverDnHandle_t handle, cusolverDnParams_t params, cublasFillMode_t uplo,
                                  std::int64_t n, std::int64_t nrhs, cudaDataType type_a, const void* a,
                                  std::int64_t lda, cudaDataType type_b, void* b, std::int64_t ldb, int* info) {
  const std::lock_guard guard(lock());
  cusolverStatus_t status = begin(handle, params, "potrs");
  if (status != CUSOLVER_STATUS_SUCCESS) return status;
  if (!is_triangular_call(uplo, n, lda, type_a, type_b) || !is_square(n, ldb) || nrhs < 0)
    return CUSOLVER_STATUS_INVALID_VALUE;
  with_type(type_a, [&]<class T>(T) {
    const auto* factor = static_cast<const T*>(a);
    auto* solution = static_cast<T*>(b);
    const auto run = [=, uplo = letter(uplo)] {
      const int order = narrow(n, "potrs"), columns = narrow(nrhs, "potrs"), ld_a = narrow(lda, "potrs"),
                ld_b = narrow(ldb, "potrs");
      Lapack<T>::potrs(&uplo, &order, &columns, factor, &ld_a, solution, &ld_b, info, 1);
    };
    const double flops = 2 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(nrhs);
    status = submit(handle, {"potrs",
                             {matrix("A", factor, n, n, lda, false), matrix("B", solution, n, nrhs, ldb, true),
                              array("info", info, 1)},
                             flops,
                             run});
  });
  return status;
}

cusolverStatus_t cusolverDnSpotri_bufferSize(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, float*, int lda,
                                             int* lwork) {
  return potri_size(handle, uplo, n, lda, lwork, "potri_bufferSize");
}

cusolverStatus_t cusolverDnDpotri_bufferSize(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, double*, int lda,
                                             int* lwork) {
  return potri_size(handle, uplo, n, lda, lwork, "potri_bufferSize");
}

cusolverStatus_t cusolverDnSpotri(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, float* a, int lda,
                                  float* work, int lwork, int* info) {
  return potri(handle, uplo, n, a, lda, work, lwork, info, "potri");
}

cusolverStatus_t cusolverDnDpotri(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, double* a, int lda,
                                  double* work, int lwork, int* info) {
  return potri(handle, uplo, n, a, lda, work, lwork, info, "potri");
}
}
