// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "cuda_libraries.hpp"
#include "hsogpu/core/error.hpp"

namespace hso::detail {

namespace {

[[noreturn]] void throw_named(bool out_of_memory, const char* call, const std::string& name, const char* meaning) {
  const std::string text = fmt::format("{}: {} ({})", call, name, meaning);
  if (out_of_memory) throw MemoryError(text);
  throw DeviceError(text);
}

std::pair<const char*, const char*> name_and_meaning(cusolverStatus_t status) {
  switch (status) {
    case CUSOLVER_STATUS_NOT_INITIALIZED:
      return {"CUSOLVER_STATUS_NOT_INITIALIZED", "the handle was not created"};
    case CUSOLVER_STATUS_ALLOC_FAILED:
      return {"CUSOLVER_STATUS_ALLOC_FAILED", "out of memory"};
    case CUSOLVER_STATUS_INVALID_VALUE:
      return {"CUSOLVER_STATUS_INVALID_VALUE", "an argument is out of range"};
    case CUSOLVER_STATUS_ARCH_MISMATCH:
      return {"CUSOLVER_STATUS_ARCH_MISMATCH", "the device is not supported"};
    case CUSOLVER_STATUS_EXECUTION_FAILED:
      return {"CUSOLVER_STATUS_EXECUTION_FAILED", "a kernel failed"};
    case CUSOLVER_STATUS_INTERNAL_ERROR:
      return {"CUSOLVER_STATUS_INTERNAL_ERROR", "an internal operation failed"};
    case CUSOLVER_STATUS_NOT_SUPPORTED:
      return {"CUSOLVER_STATUS_NOT_SUPPORTED", "these arguments are not supported"};
    case CUSOLVER_STATUS_INVALID_WORKSPACE:
      return {"CUSOLVER_STATUS_INVALID_WORKSPACE", "the workspace is too small"};
    default:
      return {nullptr, "see cusolver_common.h"};
  }
}

}  // namespace

void throw_status(cudaError_t status, const char* call) {
  cudaGetLastError();  // otherwise an unrelated later launch would report this one
  throw_named(status == cudaErrorMemoryAllocation, call, cudaGetErrorName(status), cudaGetErrorString(status));
}

void throw_status(cublasStatus_t status, const char* call) {
  throw_named(status == CUBLAS_STATUS_ALLOC_FAILED, call, cublasGetStatusName(status), cublasGetStatusString(status));
}

void throw_status(cusolverStatus_t status, const char* call) {
  const auto [name, meaning] = name_and_meaning(status);
  const std::string text = name != nullptr ? name : fmt::format("cusolverStatus_t {}", static_cast<int>(status));
  throw_named(status == CUSOLVER_STATUS_ALLOC_FAILED, call, text, meaning);
}

}  // namespace hso::detail
