// SPDX-License-Identifier: Apache-2.0
//
// HSO_CHECK(call) turns the status of a CUDA, cuBLAS or cuSOLVER call into an exception that shows the call and the
// name of the error: MemoryError when memory ran out, DeviceError otherwise.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>

namespace hso::detail {

[[noreturn]] void throw_status(cudaError_t status, const char* call);
[[noreturn]] void throw_status(cublasStatus_t status, const char* call);
[[noreturn]] void throw_status(cusolverStatus_t status, const char* call);

inline void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw_status(status, call);
}
inline void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) throw_status(status, call);
}
inline void check(cusolverStatus_t status, const char* call) {
  if (status != CUSOLVER_STATUS_SUCCESS) throw_status(status, call);
}

}  // namespace hso::detail

#define HSO_CHECK(...) ::hso::detail::check((__VA_ARGS__), #__VA_ARGS__)
