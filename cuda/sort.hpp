// SPDX-License-Identifier: Apache-2.0
//
// CUB's device-wide sort and selection. Their temporary storage is scratch of the caller, so that nothing is allocated
// and launch sequences that hold them can be recorded.
#pragma once

#include <cstdint>

#include "hsogpu/core/types.hpp"
#include "launch.hpp"

namespace hso::detail {

/// sorted_places = places in ascending order of their keys, equal keys in their order before. A stable radix sort:
/// the same result every time.
template <class Key>
struct SortArgs {
  Index n;
  const Key* keys;
  Key* sorted_keys;
  const Index* places;
  Index* sorted_places;
};

/// at[0], ..., at[*count - 1] = places whose flag is not 0, in their order. `at` is written no further.
struct SelectArgs {
  Index n;
  const Index* places;
  const std::uint8_t* flags;
  Index* at;
  Index* count;
};

/// Bytes of temporary storage for n elements.
template <class Key>
Index sort_storage_bytes(const Launch& launch, Index n);
Index select_storage_bytes(const Launch& launch, Index n);

template <class Key>
void launch_sort(const Launch& launch, const SortArgs<Key>& args, void* storage, Index storage_bytes);
void launch_select(const Launch& launch, const SelectArgs& args, void* storage, Index storage_bytes);

}  // namespace hso::detail
