// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu_ops.hpp"
#include "backend/order_by_key.hpp"

namespace hso::detail {

template <class T>
void CpuOps<T>::sort(Index n, const T* x, Index* order) {
  const InUse in_use(context_);
  order_by_key(
      n, [x](Index i) { return sort_key(x[i]); }, order);
}

template <class T>
void CpuOps<T>::permute(Index n, std::uint64_t seed, Index* order) {
  const InUse in_use(context_);
  order_by_key(
      n, [seed](Index i) { return permutation_key(seed, i); }, order);
}

template <class T>
void CpuOps<T>::select(Index n, const std::uint8_t* flags, Index* at, Index* count) {
  const InUse in_use(context_);
  Index found = 0;
  for (Index i = 0; i < n; ++i)
    if (flags[i] != 0) at[found++] = i;
  *count = found;
}

/// Host memory that the context does not count.
template <class T>
Index CpuOps<T>::sort_workspace_bytes(Index) {
  return 0;
}

template void CpuOps<float>::sort(Index, const float*, Index*);
template void CpuOps<float>::permute(Index, std::uint64_t, Index*);
template void CpuOps<float>::select(Index, const std::uint8_t*, Index*, Index*);
template Index CpuOps<float>::sort_workspace_bytes(Index);
template void CpuOps<double>::sort(Index, const double*, Index*);
template void CpuOps<double>::permute(Index, std::uint64_t, Index*);
template void CpuOps<double>::select(Index, const std::uint8_t*, Index*, Index*);
template Index CpuOps<double>::sort_workspace_bytes(Index);

}  // namespace hso::detail
