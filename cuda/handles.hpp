// SPDX-License-Identifier: Apache-2.0
//
// Ownership of the handles of CUDA and its libraries: movable, null when empty, given back by the destructor.
// What giving back reports is ignored: there is nobody left to tell, and a lost device reports an error each time.
#pragma once

#include <utility>

#include "check.hpp"
#include "cuda_libraries.hpp"
#include "hsogpu/core/types.hpp"

namespace hso::detail {

/// Destroy is a function, or a pointer to one that is set before a handle is made (cuda_libraries.hpp).
template <class Raw, auto& Destroy>
class UniqueHandle {
 public:
  UniqueHandle() = default;
  explicit UniqueHandle(Raw raw) noexcept : raw_(raw) {}
  UniqueHandle(UniqueHandle&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  UniqueHandle& operator=(UniqueHandle&& other) noexcept {
    if (this != &other) reset(std::exchange(other.raw_, nullptr));
    return *this;
  }
  ~UniqueHandle() { reset(); }

  Raw get() const noexcept { return raw_; }
  explicit operator bool() const noexcept { return raw_ != nullptr; }
  void reset(Raw raw = nullptr) noexcept {
    if (raw_ != nullptr) static_cast<void>(Destroy(raw_));
    raw_ = raw;
  }
  /// Empties the handle, and gives the address that a create function fills.
  Raw* fill() noexcept {
    reset();
    return &raw_;
  }

 private:
  Raw raw_ = nullptr;
};

using StreamHandle = UniqueHandle<cudaStream_t, cudaStreamDestroy>;
using EventHandle = UniqueHandle<cudaEvent_t, cudaEventDestroy>;
using PoolHandle = UniqueHandle<cudaMemPool_t, cudaMemPoolDestroy>;
using GraphHandle = UniqueHandle<cudaGraph_t, cudaGraphDestroy>;
using GraphExecHandle = UniqueHandle<cudaGraphExec_t, cudaGraphExecDestroy>;
using BlasHandle = UniqueHandle<cublasHandle_t, cublasDestroy>;
using SolverHandle = UniqueHandle<cusolverDnHandle_t, cusolverDnDestroy>;
using SolverParams = UniqueHandle<cusolverDnParams_t, cusolverDnDestroyParams>;
using DeviceBytes = UniqueHandle<void*, static_cast<cudaError_t (&)(void*)>(cudaFree)>;
using PinnedBytes = UniqueHandle<void*, static_cast<cudaError_t (&)(void*)>(cudaFreeHost)>;

/// Page-locked host memory that copies reach while the host goes on, and that kernels can write.
PinnedBytes pinned_memory(Index bytes);

}  // namespace hso::detail
