// SPDX-License-Identifier: Apache-2.0
//
// The verbs on a CUDA device. One file a family: cuda_ops.cpp (elements, reductions, copies), cuda_gemm.cpp (cuBLAS),
// cuda_sort.cpp (CUB), cuda_dense.cpp and cuda_eigen.cpp (cuSOLVER). Row-major matrices are the transposes of what the
// libraries call column-major, so operands of a product change places and "lower" becomes "upper"; no data moves.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "cuda_context.hpp"
#include "handles.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/detail/queued_factorisations.hpp"

namespace hso::detail {

template <class T>
class CudaOps final : public Ops<T>, public QueuedFactorisations<T> {
 public:
  explicit CudaOps(CudaContext& context) : context_(context) {}
  Context& context() override { return context_; }

  void for_each(Index outer, Index inner, const ElementOp<T>& op) override;
  void recur(Index lanes, Index n, const LaneRecurrence<T>& op, double* squares) override;
  void gemm(const GemmArgs<T>& args) override;
  void sum_rows(const ReduceArgs<T>& args) override;
  void sum_columns(const ReduceArgs<T>& args) override;
  void dots(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride, double* host) override;
  void dots_on_device(Index lanes, Index n, const T* x, Index x_stride, const T* y, Index y_stride,
                      double* results) override;
  void gram_on_device(Index rows, Index n, const T* x, Index x_stride, double* gram) override;
  void norms_on_device(Index n, const T* x, double* results) override;
  double max_abs(Index n, const T* x) override;
  void argmin(Index lanes, Index n, const T* x, Index x_stride, Index* at) override;
  void sort(Index n, const T* x, Index* order) override;
  void permute(Index n, std::uint64_t seed, Index* order) override;
  void select(Index n, const std::uint8_t* flags, Index* at, Index* count) override;
  Index sort_workspace_bytes(Index n) override;
  void copy(Index n, const T* from, T* to) override;

  Index potrf(Index n, T* a) override;
  void potrs(Index n, Index nrhs, const T* factor, T* b) override;
  Index potri(Index n, T* factor) override;
  Index syevd(Index n, T* a, T* w, bool vectors) override;
  Index syevd_range(Index n, T* a, Index il, Index iu, T* w, T* z) override;
  Index syevd_batched(Index n, Index batch, T* a, T* w, bool vectors) override;
  Index syevd_workspace_bytes(Index n, bool vectors) override;
  Index syevd_range_workspace_bytes(Index n, Index il, Index iu, bool vectors) override;
  Index syevd_limit(bool vectors) override;

  QueuedFactorisations<T>* queued_factorisations() override { return this; }
  using Matrix = typename QueuedFactorisations<T>::Matrix;
  void syevd_queued(Span<const Matrix> matrices, int* info) override;
  void invert_queued(Span<const Matrix> matrices, int* info) override;
  Index queued_limit() override;

  Index chunk_bytes() const override;

 private:
  struct Workspace {
    std::size_t device = 0, host = 0;  ///< bytes
  };
  Workspace syevd_workspace(Index n, const T* a, const T* w, bool vectors);
  Workspace syevd_range_workspace(Index n, const T* a, const T* w, Index il, Index iu, bool vectors);
  Index syevd_batch(Index n, Index batch, T* a, T* w, bool vectors);
  Index largest_batch(Index n, Index batch, const T* a, const T* w, bool vectors);
  std::optional<Workspace> syevd_batch_workspace(Index n, Index batch, const T* a, const T* w, bool vectors);
  Index invert_small(Index n, T* factor);
  Index invert_large(Index n, T* factor);
  void scale_result(const GemmArgs<T>& args);
  /// Host scratch for cuSOLVER, kept between calls.
  void* host_workspace(std::size_t bytes);
  /// The same for a call that nobody waits for: memory of its own, kept until the group of calls has run.
  void* queued_workspace(std::size_t bytes);
  void begin_group();
  void end_group();
  using HostRoom = void* (CudaOps::*)(std::size_t bytes);
  void queue_syevd(const Matrix& m, bool vectors, int* info, HostRoom room);
  void queue_potrf(Index n, T* a, int* info, HostRoom room);
  void queue_potri(Index n, T* factor, int* info);
  /// The first info that is not 0, after a wait. DeviceError when it is negative: an argument of `call` was refused.
  Index read_info(const char* call, Index count, const int* device_info);

  CudaContext& context_;
  std::vector<std::byte> host_workspace_;
  std::vector<std::vector<std::byte>> queued_workspaces_;  ///< of the last group
  EventHandle group_done_;
  bool group_open_ = false;
};

}  // namespace hso::detail
