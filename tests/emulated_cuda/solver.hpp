// SPDX-License-Identifier: Apache-2.0
//
// What the calls of the double of cuSOLVER share: handles, the checks of arguments, workspaces and operands, and the
// way into the stream.
#pragma once

#include <cusolverDn.h>

#include <string>

#include "library_call.hpp"

struct cusolverDnContext {
  int device;
  cudaStream_t stream;
};
struct cusolverDnParams {};

namespace hso::emulated {

struct Workspace {
  void* device;
  std::size_t device_bytes;
  void* host;
  std::size_t host_bytes;
};

/// What every call that has a handle begins with.
cusolverStatus_t begin(cusolverDnHandle_t handle, const std::string& call);
/// The same for calls that take parameters too.
cusolverStatus_t begin(cusolverDnHandle_t handle, cusolverDnParams_t params, const std::string& call);

inline bool is_square(std::int64_t n, std::int64_t ld) { return n >= 0 && ld >= (n > 1 ? n : 1); }
inline bool is_fill_mode(cublasFillMode_t uplo) {
  return uplo == CUBLAS_FILL_MODE_LOWER || uplo == CUBLAS_FILL_MODE_UPPER;
}
inline bool is_real(cudaDataType type) { return type == CUDA_R_32F || type == CUDA_R_64F; }
inline double element_bytes(cudaDataType type) { return type == CUDA_R_32F ? sizeof(float) : sizeof(double); }
inline char letter(cublasFillMode_t uplo) { return uplo == CUBLAS_FILL_MODE_UPPER ? 'U' : 'L'; }

/// Writes what a size query answers; INVALID_VALUE when that many bytes do not fit the address space.
cusolverStatus_t answer(double device_needed, std::size_t* device_bytes, std::size_t* host_bytes);
/// Bytes of device workspace. cuSOLVER's own sizes differ; like these, they grow with the matrix.
double potrf_bytes(std::int64_t n, cudaDataType type);
double eigen_bytes(std::int64_t n, std::int64_t batch, bool vectors, cudaDataType type);

/// Queues the call. A stream that captures is refused: cuSOLVER may wait for the host and allocate.
cusolverStatus_t submit(cusolverDnHandle_t handle, LibraryCall call);
/// The same with a workspace: INVALID_WORKSPACE when it is smaller than the query says. It is overwritten.
cusolverStatus_t submit(cusolverDnHandle_t handle, LibraryCall call, const Workspace& given, double device_needed);

/// Calls `use` with a T of the data type.
template <class Use>
void with_type(cudaDataType type, const Use& use) {
  if (type == CUDA_R_32F)
    use(float{});
  else
    use(double{});
}

/// Calls visit(element) for each of the triangle, the diagonal included.
template <class T, class Visit>
void for_each_in_triangle(char uplo, std::int64_t n, T* a, std::int64_t ld, const Visit& visit) {
  for (std::int64_t j = 0; j < n; ++j) {
    const std::int64_t first = uplo == 'U' ? 0 : j, last = uplo == 'U' ? j : n - 1;
    for (std::int64_t i = first; i <= last; ++i) visit(a[i + j * ld]);
  }
}

}  // namespace hso::emulated
