// SPDX-License-Identifier: Apache-2.0
//
// Cholesky by cuSOLVER. The row-major lower triangle is the column-major upper one: A = U'U with U = L'.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "cuda_ops.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "solver_types.hpp"

namespace hso::detail {

template <class T>
void* CudaOps<T>::host_workspace(std::size_t bytes) {
  if (host_workspace_.size() < bytes) host_workspace_.resize(bytes);
  return host_workspace_.data();
}

template <class T>
Index CudaOps<T>::read_info(const char* call, Index count, const int* device_info) {
  std::vector<int> info(static_cast<std::size_t>(count));
  context_.to_host(device_info, info.data(), count * static_cast<Index>(sizeof(int)));
  const auto found = std::ranges::find_if(info, [](int i) { return i != 0; });
  if (found == info.end()) return 0;
  if (*found < 0) throw DeviceError(fmt::format("{}: cuSOLVER refused its argument {}", call, -*found));
  return *found;
}

template <class T>
void CudaOps<T>::queue_potrf(Index n, T* a, int* info, HostRoom room) {
  const auto solver = context_.solver();
  const cusolverDnParams_t params = context_.solver_params();
  Workspace bytes;
  HSO_CHECK(
      cusolverDnXpotrf_bufferSize(solver, params, kUplo, n, kData<T>, a, n, kData<T>, &bytes.device, &bytes.host));
  Scratch scratch(context_);
  void* work = scratch.take<char>(static_cast<Index>(bytes.device));
  void* host = (this->*room)(bytes.host);
  context_.with_room([&] {
    HSO_CHECK(cusolverDnXpotrf(solver, params, kUplo, n, kData<T>, a, n, kData<T>, work, bytes.device, host, bytes.host,
                               info));
  });
}

template <class T>
Index CudaOps<T>::potrf(Index n, T* a) {
  if (n == 0) return 0;
  context_.require_not_capturing("potrf");
  Scratch scratch(context_);
  int* info = scratch.take<int>(1);
  queue_potrf(n, a, info, &CudaOps::host_workspace);
  return read_info("potrf", 1, info);
}

template <class T>
void CudaOps<T>::potrs(Index n, Index nrhs, const T* factor, T* b) {
  if (n == 0 || nrhs == 0) return;
  context_.require_not_capturing("potrs");
  Scratch scratch(context_);
  int* info = scratch.take<int>(1);
  HSO_CHECK(cusolverDnXpotrs(context_.solver(), context_.solver_params(), kUplo, n, nrhs, kData<T>, factor, n, kData<T>,
                             b, n, info));
  read_info("potrs", 1, info);
}

template <class T>
Index CudaOps<T>::invert_small(Index n, T* factor) {
  const auto solver = context_.solver();
  const int order = static_cast<int>(n);
  int size = 0;
  if (potri_size(solver, order, factor, &size) != CUSOLVER_STATUS_SUCCESS) return invert_large(n, factor);
  Scratch scratch(context_);
  T* work = scratch.take<T>(size);
  int* info = scratch.take<int>(1);
  context_.with_room([&] { HSO_CHECK(potri_run(solver, order, factor, work, size, info)); });
  const Index zero_pivot = read_info("potri", 1, info);
  if (zero_pivot == 0) for_each(n, n, MirrorLower<T>{factor, n});
  return zero_pivot;
}

// Solves against the identity: three times the work, but every size is 64-bit.
template <class T>
Index CudaOps<T>::invert_large(Index n, T* factor) {
  Scratch scratch(context_);
  T* inverse = scratch.take<T>(checked_multiply(n, n));
  for_each(n, n, UnitVectors<T>{inverse, n, 0});
  potrs(n, n, factor, inverse);
  copy(n * n, inverse, factor);
  for_each(n, n, MirrorLower<T>{factor, n});
  return 0;
}

template <class T>
Index CudaOps<T>::potri(Index n, T* factor) {
  constexpr Index kLargestSmall = 46340;  // n^2 fits the 32-bit sizes of cuSOLVER's potri
  if (n == 0) return 0;
  context_.require_not_capturing("potri");
  return n <= kLargestSmall ? invert_small(n, factor) : invert_large(n, factor);
}

template void* CudaOps<float>::host_workspace(std::size_t);
template Index CudaOps<float>::read_info(const char*, Index, const int*);
template void CudaOps<float>::queue_potrf(Index, float*, int*, HostRoom);
template Index CudaOps<float>::potrf(Index, float*);
template void CudaOps<float>::potrs(Index, Index, const float*, float*);
template Index CudaOps<float>::potri(Index, float*);
template void* CudaOps<double>::host_workspace(std::size_t);
template Index CudaOps<double>::read_info(const char*, Index, const int*);
template void CudaOps<double>::queue_potrf(Index, double*, int*, HostRoom);
template Index CudaOps<double>::potrf(Index, double*);
template void CudaOps<double>::potrs(Index, Index, const double*, double*);
template Index CudaOps<double>::potri(Index, double*);

}  // namespace hso::detail
