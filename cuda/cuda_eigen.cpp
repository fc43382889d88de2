// SPDX-License-Identifier: Apache-2.0
//
// Symmetric eigenproblems by cuSOLVER. Eigenvectors come as columns of a column-major matrix: rows of ours.
#include <fmt/format.h>

#include <algorithm>

#include "cuda_ops.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "solver_types.hpp"

namespace hso::detail {

namespace {

/// cuSOLVER before 12.0 (CUDA 13.0) fails, or worse, from n of 23,000 to 26,000 on, though its sizes are 64-bit.
Index largest_order() {
  int major = 0;
  HSO_CHECK(cusolverGetProperty(MAJOR_VERSION, &major));
  return major < 12 ? Index{23000} : Index{INT32_MAX};
}

void check_order(const char* call, Index n) {
  if (n > largest_order())
    throw NumericalError(
        fmt::format("{}: order {} is above {}, the largest that this cuSOLVER solves; use CUDA 13 or the CPU", call, n,
                    largest_order()));
}

}  // namespace

template <class T>
auto CudaOps<T>::syevd_workspace(Index n, const T* a, const T* w, bool vectors) -> Workspace {
  Workspace bytes;
  HSO_CHECK(cusolverDnXsyevd_bufferSize(context_.solver(), context_.solver_params(), eigen_mode(vectors), kUplo, n,
                                        kData<T>, a, n, kData<T>, w, kData<T>, &bytes.device, &bytes.host));
  return bytes;
}

template <class T>
Index CudaOps<T>::syevd_workspace_bytes(Index n, bool vectors) {
  if (n == 0) return 0;
  const auto* not_read = static_cast<const T*>(context_.device_pointer());
  return static_cast<Index>(syevd_workspace(n, not_read, not_read, vectors).device);
}

template <class T>
Index CudaOps<T>::syevd_limit(bool) {
  return largest_order();
}

template <class T>
void CudaOps<T>::queue_syevd(const Matrix& m, bool vectors, int* info, HostRoom room) {
  const Workspace bytes = syevd_workspace(m.n, m.a, m.w, vectors);
  Scratch scratch(context_);
  void* work = scratch.take<char>(static_cast<Index>(bytes.device));
  void* host = (this->*room)(bytes.host);
  context_.with_room([&] {
    HSO_CHECK(cusolverDnXsyevd(context_.solver(), context_.solver_params(), eigen_mode(vectors), kUplo, m.n, kData<T>,
                               m.a, m.n, kData<T>, m.w, kData<T>, work, bytes.device, host, bytes.host, info));
  });
}

template <class T>
Index CudaOps<T>::syevd(Index n, T* a, T* w, bool vectors) {
  if (n == 0) return 0;
  context_.require_not_capturing("syevd");
  check_order("syevd", n);
  Scratch scratch(context_);
  int* info = scratch.take<int>(1);
  queue_syevd({n, a, w}, vectors, info, &CudaOps::host_workspace);
  return read_info("syevd", 1, info);
}

template <class T>
auto CudaOps<T>::syevd_range_workspace(Index n, const T* a, const T* w, Index il, Index iu, bool vectors) -> Workspace {
  T low = 0, high = 0;  // of the other kinds of range
  std::int64_t found = 0;
  Workspace bytes;
  HSO_CHECK(cusolverDnXsyevdx_bufferSize(context_.solver(), context_.solver_params(), eigen_mode(vectors),
                                         CUSOLVER_EIG_RANGE_I, kUplo, n, kData<T>, a, n, &low, &high, il + 1, iu + 1,
                                         &found, kData<T>, w, kData<T>, &bytes.device, &bytes.host));
  return bytes;
}

template <class T>
Index CudaOps<T>::syevd_range_workspace_bytes(Index n, Index il, Index iu, bool vectors) {
  if (n == 0) return 0;
  const auto* not_read = static_cast<const T*>(context_.device_pointer());
  return static_cast<Index>(syevd_range_workspace(n, not_read, not_read, il, iu, vectors).device) +
         n * static_cast<Index>(sizeof(T));  // and room for all values
}

template <class T>
Index CudaOps<T>::syevd_range(Index n, T* a, Index il, Index iu, T* w, T* z) {
  if (il < 0 || il > iu || iu >= n)
    throw UsageError(
        fmt::format("syevd_range: eigenvalues {} to {} of {}, expected 0 <= first <= last < n", il, iu, n));
  context_.require_not_capturing("syevd_range");
  check_order("syevd_range", n);
  const cusolverEigMode_t mode = eigen_mode(z != nullptr);
  const cusolverEigRange_t range = CUSOLVER_EIG_RANGE_I;
  const auto solver = context_.solver();
  const cusolverDnParams_t params = context_.solver_params();
  const Index wanted = iu - il + 1;
  T low = 0, high = 0;  // of the other kinds of range
  std::int64_t found = 0;
  Scratch scratch(context_);
  T* values = scratch.take<T>(n);  // cuSOLVER uses n entries, whatever the range
  const Workspace bytes = syevd_range_workspace(n, a, values, il, iu, z != nullptr);
  void* work = scratch.take<char>(static_cast<Index>(bytes.device));
  int* info = scratch.take<int>(1);
  context_.with_room([&] {
    HSO_CHECK(cusolverDnXsyevdx(solver, params, mode, range, kUplo, n, kData<T>, a, n, &low, &high, il + 1, iu + 1,
                                &found, kData<T>, values, kData<T>, work, bytes.device, host_workspace(bytes.host),
                                bytes.host, info));
  });
  const Index failed = read_info("syevd_range", 1, info);
  if (failed != 0) return failed;
  if (found != wanted)
    throw NumericalError(fmt::format("syevd_range: cuSOLVER found {} eigenvalues, expected {}", found, wanted));
  copy(wanted, values, w);
  if (z != nullptr) copy(wanted * n, a, z);
  return 0;
}

#if CUSOLVER_VERSION >= 11701  // CUDA 12.6 update 2

/// Empty where cuSOLVER gives no size: the batch is too large for it.
template <class T>
auto CudaOps<T>::syevd_batch_workspace(Index n, Index batch, const T* a, const T* w, bool vectors)
    -> std::optional<Workspace> {
  Workspace bytes;
  const cusolverStatus_t status =
      cusolverDnXsyevBatched_bufferSize(context_.solver(), context_.solver_params(), eigen_mode(vectors), kUplo, n,
                                        kData<T>, a, n, kData<T>, w, kData<T>, &bytes.device, &bytes.host, batch);
  if (status != CUSOLVER_STATUS_SUCCESS) return std::nullopt;
  return bytes;
}

template <class T>
Index CudaOps<T>::syevd_batch(Index n, Index batch, T* a, T* w, bool vectors) {
  const std::optional<Workspace> asked = syevd_batch_workspace(n, batch, a, w, vectors);
  if (!asked) throw DeviceError(fmt::format("syevd_batched: cuSOLVER gives no workspace for {} of order {}", batch, n));
  const Workspace bytes = *asked;
  Scratch scratch(context_);
  void* work = scratch.take<char>(static_cast<Index>(bytes.device));
  int* info = scratch.take<int>(batch);
  context_.with_room([&] {
    HSO_CHECK(cusolverDnXsyevBatched(context_.solver(), context_.solver_params(), eigen_mode(vectors), kUplo, n,
                                     kData<T>, a, n, kData<T>, w, kData<T>, work, bytes.device,
                                     host_workspace(bytes.host), bytes.host, info, batch));
  });
  return read_info("syevd_batched", batch, info);
}

/// The largest halving of `batch` whose workspace is in proportion to the scratch of other operations.
template <class T>
Index CudaOps<T>::largest_batch(Index n, Index batch, const T* a, const T* w, bool vectors) {
  const auto most = static_cast<std::size_t>(4 * chunk_bytes());
  const auto fits = [&](Index count) {
    const auto bytes = syevd_batch_workspace(n, count, a, w, vectors);
    return bytes && bytes->device <= most;
  };
  while (batch > 1 && !fits(batch)) batch = (batch + 1) / 2;
  return batch;
}

#else

template <class T>
Index CudaOps<T>::largest_batch(Index, Index, const T*, const T*, bool) {
  return 1;
}

template <class T>
Index CudaOps<T>::syevd_batch(Index n, Index, T* a, T* w, bool vectors) {
  return syevd(n, a, w, vectors);
}

#endif

template <class T>
Index CudaOps<T>::syevd_batched(Index n, Index batch, T* a, T* w, bool vectors) {
  if (n == 0 || batch == 0) return 0;
  context_.require_not_capturing("syevd_batched");
  check_order("syevd_batched", n);
  const Index step = largest_batch(n, batch, a, w, vectors);
  Index failed = 0;
  for (Index first = 0; first < batch; first += step) {
    const Index count = std::min(step, batch - first);
    T* matrices = a + first * n * n;
    T* values = w + first * n;
    const Index info =
        count == 1 ? syevd(n, matrices, values, vectors) : syevd_batch(n, count, matrices, values, vectors);
    failed = failed != 0 ? failed : info;
  }
  return failed;
}

template void CudaOps<float>::queue_syevd(const Matrix&, bool, int*, HostRoom);
template Index CudaOps<float>::syevd(Index, float*, float*, bool);
template Index CudaOps<float>::syevd_range(Index, float*, Index, Index, float*, float*);
template Index CudaOps<float>::syevd_batched(Index, Index, float*, float*, bool);
template Index CudaOps<float>::syevd_workspace_bytes(Index, bool);
template Index CudaOps<float>::syevd_range_workspace_bytes(Index, Index, Index, bool);
template Index CudaOps<float>::syevd_limit(bool);
template void CudaOps<double>::queue_syevd(const Matrix&, bool, int*, HostRoom);
template Index CudaOps<double>::syevd(Index, double*, double*, bool);
template Index CudaOps<double>::syevd_range(Index, double*, Index, Index, double*, double*);
template Index CudaOps<double>::syevd_batched(Index, Index, double*, double*, bool);
template Index CudaOps<double>::syevd_workspace_bytes(Index, bool);
template Index CudaOps<double>::syevd_range_workspace_bytes(Index, Index, Index, bool);
template Index CudaOps<double>::syevd_limit(bool);

}  // namespace hso::detail
