// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cuda_ops.hpp"
#include "hsogpu/detail/arena.hpp"
#include "sort.hpp"

namespace hso::detail {

namespace {

/// order = the places in ascending order of the keys that make_keys(keys, places) queues.
template <class Key, class MakeKeys>
void sort_keys(CudaContext& context, Index n, Index* order, const MakeKeys& make_keys) {
  if (n == 0) return;
  const Launch launch = context.launch();
  Scratch scratch(context);
  Key *keys = scratch.take<Key>(n), *sorted = scratch.take<Key>(n);
  Index* places = scratch.take<Index>(n);
  const Index bytes = sort_storage_bytes<Key>(launch, n);
  void* storage = scratch.take<char>(bytes);
  make_keys(keys, places);
  launch_sort<Key>(launch, {n, keys, sorted, places, order}, storage, bytes);
}

}  // namespace

template <class T>
void CudaOps<T>::sort(Index n, const T* x, Index* order) {
  sort_keys<SortKey<T>>(context_, n, order, [&](SortKey<T>* keys, Index* places) {
    for_each(1, n, SortKeys<T>{x, keys, places});
  });
}

template <class T>
void CudaOps<T>::permute(Index n, std::uint64_t seed, Index* order) {
  sort_keys<std::uint64_t>(context_, n, order, [&](std::uint64_t* keys, Index* places) {
    for_each(1, n, PermutationKeys<T>{seed, keys, places});
  });
}

template <class T>
void CudaOps<T>::select(Index n, const std::uint8_t* flags, Index* at, Index* count) {
  if (n == 0) return for_each(1, 1, SetIndex<T>{count, 0});
  const Launch launch = context_.launch();
  Scratch scratch(context_);
  Index* places = scratch.take<Index>(n);
  const Index bytes = select_storage_bytes(launch, n);
  void* storage = scratch.take<char>(bytes);
  for_each(1, n, Places<T>{places});
  launch_select(launch, {n, places, flags, at, count}, storage, bytes);
}

template <class T>
Index CudaOps<T>::sort_workspace_bytes(Index n) {
  constexpr Index kEach = 24, kAlignment = 4 * 256;
  return checked_multiply(n, kEach) + sort_storage_bytes<std::uint64_t>(context_.launch(), n) + kAlignment;
}

template void CudaOps<float>::sort(Index, const float*, Index*);
template void CudaOps<float>::permute(Index, std::uint64_t, Index*);
template void CudaOps<float>::select(Index, const std::uint8_t*, Index*, Index*);
template Index CudaOps<float>::sort_workspace_bytes(Index);
template void CudaOps<double>::sort(Index, const double*, Index*);
template void CudaOps<double>::permute(Index, std::uint64_t, Index*);
template void CudaOps<double>::select(Index, const std::uint8_t*, Index*, Index*);
template Index CudaOps<double>::sort_workspace_bytes(Index);

}  // namespace hso::detail
