// SPDX-License-Identifier: Apache-2.0
//
// The double of CUB's device-wide algorithms. Without storage a call answers how much it needs; with storage it is
// queued and counts as one library call, whatever number of kernels CUB would launch (a large sort of 64-bit keys
// about ten, a selection two). The storage is overwritten.
#include <algorithm>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_select.cuh>
#include <tuple>
#include <utility>

#include "library_call.hpp"

namespace hso::emulated {

namespace {

/// CUB's own sizes differ; like these, they grow with the input and are never 0.
std::size_t storage_for(std::int64_t count, std::size_t each) { return static_cast<std::size_t>(count) * each + 255; }

/// Queues the call, or sets storage_bytes to `needed` where there is no storage.
cudaError_t submit(cudaStream_t stream, void* storage, std::size_t& storage_bytes, std::size_t needed,
                   LibraryCall call) {
  if (storage == nullptr) storage_bytes = needed;
  if (storage == nullptr) return lost();
  if (const cudaError_t error = enter(Site::library); error != cudaSuccess) return error;
  if (storage_bytes < needed) return cudaErrorInvalidValue;
  const auto bytes = static_cast<std::int64_t>(needed);
  call.workspace = array("the temporary storage", static_cast<char*>(storage), bytes);
  queue_call(stream, current_device(), std::move(call), bytes);
  return cudaSuccess;
}

template <class T>
Operand input(std::string name, const T* data, std::int64_t count) {
  return matrix(std::move(name), data, count, 1, count, false);
}

template <class Key>
void sort_stably(const Key* keys_in, Key* keys_out, const std::int64_t* values_in, std::int64_t* values_out,
                 std::int64_t count, Key mask) {
  using Pair = std::pair<Key, std::int64_t>;
  std::vector<Pair> pairs(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {keys_in[i], values_in[i]};
  const auto part = [mask](const Pair& pair) { return pair.first & mask; };
  std::ranges::stable_sort(pairs, std::less{}, part);
  for (std::size_t i = 0; i < pairs.size(); ++i) std::tie(keys_out[i], values_out[i]) = pairs[i];
}

}  // namespace

template <class Key>
cudaError_t sort_pairs(void* storage, std::size_t& storage_bytes, const Key* keys_in, Key* keys_out,
                       const std::int64_t* values_in, std::int64_t* values_out, std::int64_t count, int begin_bit,
                       int end_bit, cudaStream_t stream) {
  const std::lock_guard guard(lock());
  progress();
  constexpr int kBits = 8 * sizeof(Key);
  if (count < 0 || begin_bit < 0 || begin_bit >= end_bit || end_bit > kBits) return cudaErrorInvalidValue;
  const Key below_end = static_cast<Key>(~Key{0}) >> (kBits - end_bit);
  const Key mask = below_end >> begin_bit << begin_bit;
  const auto run = [=] { sort_stably(keys_in, keys_out, values_in, values_out, count, mask); };
  return submit(stream, storage, storage_bytes, storage_for(count, sizeof(Key) + sizeof(std::int64_t)),
                {"cub::DeviceRadixSort::SortPairs",
                 {input("the keys", keys_in, count), input("the values", values_in, count),
                  array("the sorted keys", keys_out, count), array("the sorted values", values_out, count)},
                 0,
                 run});
}

cudaError_t select_flagged(void* storage, std::size_t& storage_bytes, const std::int64_t* in, const std::uint8_t* flags,
                           std::int64_t* out, std::int64_t* selected, std::int64_t count, cudaStream_t stream) {
  const std::lock_guard guard(lock());
  progress();
  if (count < 0) return cudaErrorInvalidValue;
  const auto run = [=] {
    const std::int64_t chosen = count - std::count(flags, flags + count, 0);
    const std::string name = "cub::DeviceSelect::Flagged: the output";
    if (chosen > 0) require_inside(out, static_cast<std::size_t>(chosen) * sizeof(std::int64_t), Place::device, name);
    std::int64_t* to = out;
    for (std::int64_t i = 0; i < count; ++i)
      if (flags[i] != 0) *to++ = in[i];
    *selected = chosen;
  };
  return submit(stream, storage, storage_bytes, storage_for(count, 1),
                {"cub::DeviceSelect::Flagged",
                 {input("the input", in, count), input("the flags", flags, count), array("the number", selected, 1)},
                 0,
                 run});
}

template cudaError_t sort_pairs(void*, std::size_t&, const std::uint32_t*, std::uint32_t*, const std::int64_t*,
                                std::int64_t*, std::int64_t, int, int, cudaStream_t);
template cudaError_t sort_pairs(void*, std::size_t&, const std::uint64_t*, std::uint64_t*, const std::int64_t*,
                                std::int64_t*, std::int64_t, int, int, cudaStream_t);

}  // namespace hso::emulated
