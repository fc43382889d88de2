// SPDX-License-Identifier: Apache-2.0
#include "sort.hpp"

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_select.cuh>

#include "check.hpp"

namespace hso::detail {

namespace {

/// With no storage both only set `bytes`.
template <class Key>
void sort_pairs(const Launch& launch, const SortArgs<Key>& args, void* storage, std::size_t& bytes) {
  HSO_CHECK(cub::DeviceRadixSort::SortPairs(storage, bytes, args.keys, args.sorted_keys, args.places,
                                            args.sorted_places, args.n, 0, static_cast<int>(8 * sizeof(Key)),
                                            static_cast<cudaStream_t>(launch.stream)));
}

void select_flagged(const Launch& launch, const SelectArgs& args, void* storage, std::size_t& bytes) {
  HSO_CHECK(cub::DeviceSelect::Flagged(storage, bytes, args.places, args.flags, args.at, args.count, args.n,
                                       static_cast<cudaStream_t>(launch.stream)));
}

}  // namespace

template <class Key>
Index sort_storage_bytes(const Launch& launch, Index n) {
  std::size_t bytes = 0;
  sort_pairs(launch, SortArgs<Key>{n, nullptr, nullptr, nullptr, nullptr}, nullptr, bytes);
  return static_cast<Index>(bytes);
}

Index select_storage_bytes(const Launch& launch, Index n) {
  std::size_t bytes = 0;
  select_flagged(launch, SelectArgs{n, nullptr, nullptr, nullptr, nullptr}, nullptr, bytes);
  return static_cast<Index>(bytes);
}

template <class Key>
void launch_sort(const Launch& launch, const SortArgs<Key>& args, void* storage, Index storage_bytes) {
  auto bytes = static_cast<std::size_t>(storage_bytes);
  sort_pairs(launch, args, storage, bytes);
}

void launch_select(const Launch& launch, const SelectArgs& args, void* storage, Index storage_bytes) {
  auto bytes = static_cast<std::size_t>(storage_bytes);
  select_flagged(launch, args, storage, bytes);
}

template Index sort_storage_bytes<std::uint32_t>(const Launch&, Index);
template Index sort_storage_bytes<std::uint64_t>(const Launch&, Index);
template void launch_sort<std::uint32_t>(const Launch&, const SortArgs<std::uint32_t>&, void*, Index);
template void launch_sort<std::uint64_t>(const Launch&, const SortArgs<std::uint64_t>&, void*, Index);

}  // namespace hso::detail
