// SPDX-License-Identifier: Apache-2.0
//
// Groups of factorisations that the host does not wait for. cuSOLVER may use its host workspace until a call has run:
// every call has one of its own, and the next group waits for the last one before it takes them back.
#include <algorithm>

#include "cuda_ops.hpp"
#include "hsogpu/detail/arena.hpp"
#include "solver_types.hpp"

namespace hso::detail {

template <class T>
Index CudaOps<T>::queued_limit() {
  constexpr Index kLargestPotri = 20000;  // its 32-bit sizes hold n^2, and every cuSOLVER's syevd takes it
  return std::min(kLargestPotri, syevd_limit(true));
}

template <class T>
void CudaOps<T>::begin_group() {
  if (!group_done_) HSO_CHECK(cudaEventCreateWithFlags(group_done_.fill(), cudaEventDisableTiming));
  if (group_open_) context_.synchronize();  // an error ended the last one
  HSO_CHECK(cudaEventSynchronize(group_done_.get()));
  group_open_ = true;
  queued_workspaces_.clear();
}

template <class T>
void CudaOps<T>::end_group() {
  HSO_CHECK(cudaEventRecord(group_done_.get(), context_.stream()));
  group_open_ = false;
}

template <class T>
void* CudaOps<T>::queued_workspace(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  return queued_workspaces_.emplace_back(bytes).data();
}

template <class T>
void CudaOps<T>::syevd_queued(Span<const Matrix> matrices, int* info) {
  context_.require_not_capturing("syevd_queued");
  begin_group();
  for (const Matrix& m : matrices) queue_syevd(m, true, info++, &CudaOps::queued_workspace);
  end_group();
}

template <class T>
void CudaOps<T>::queue_potri(Index n, T* factor, int* info) {
  const auto solver = context_.solver();
  const int order = static_cast<int>(n);
  int size = 0;
  HSO_CHECK(potri_size(solver, order, factor, &size));
  Scratch scratch(context_);
  T* work = scratch.take<T>(size);
  context_.with_room([&] { HSO_CHECK(potri_run(solver, order, factor, work, size, info)); });
  for_each(n, n, MirrorLower<T>{factor, n});
}

template <class T>
void CudaOps<T>::invert_queued(Span<const Matrix> matrices, int* info) {
  context_.require_not_capturing("invert_queued");
  begin_group();
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    queue_potrf(matrices[i].n, matrices[i].a, info + i, &CudaOps::queued_workspace);
    queue_potri(matrices[i].n, matrices[i].a, info + matrices.size() + i);
  }
  end_group();
}

template Index CudaOps<float>::queued_limit();
template void CudaOps<float>::begin_group();
template void CudaOps<float>::end_group();
template void* CudaOps<float>::queued_workspace(std::size_t);
template void CudaOps<float>::queue_potri(Index, float*, int*);
template void CudaOps<float>::syevd_queued(Span<const Matrix>, int*);
template void CudaOps<float>::invert_queued(Span<const Matrix>, int*);
template Index CudaOps<double>::queued_limit();
template void CudaOps<double>::begin_group();
template void CudaOps<double>::end_group();
template void* CudaOps<double>::queued_workspace(std::size_t);
template void CudaOps<double>::queue_potri(Index, double*, int*);
template void CudaOps<double>::syevd_queued(Span<const Matrix>, int*);
template void CudaOps<double>::invert_queued(Span<const Matrix>, int*);

}  // namespace hso::detail
