// SPDX-License-Identifier: Apache-2.0
#include "staging.hpp"

#include <cstring>

namespace hso::detail {

PinnedBytes pinned_memory(Index bytes) {
  PinnedBytes memory;
  HSO_CHECK(cudaHostAlloc(memory.fill(), static_cast<std::size_t>(bytes), cudaHostAllocPortable | cudaHostAllocMapped));
  return memory;
}

Staging::Staging() : results_(pinned_memory(kResults * static_cast<Index>(sizeof(double)))) {
  for (Slot& slot : slots_) {
    slot.memory = pinned_memory(kSlotBytes);
    HSO_CHECK(cudaEventCreateWithFlags(slot.copied.fill(), cudaEventDisableTiming));
  }
}

Staging::Slot& Staging::next_free_slot() {
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % slots_.size();
  HSO_CHECK(cudaEventSynchronize(slot.copied.get()));  // an event never recorded counts as done
  return slot;
}

void Staging::upload(cudaStream_t stream, const void* host, void* device, Index bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  if (bytes > kSlotBytes) {
    HSO_CHECK(cudaMemcpyAsync(device, host, size, cudaMemcpyHostToDevice, stream));
    HSO_CHECK(cudaStreamSynchronize(stream));  // the caller may free `host` now, even if it is pinned
    return;
  }
  Slot& slot = next_free_slot();
  std::memcpy(slot.memory.get(), host, size);
  HSO_CHECK(cudaMemcpyAsync(device, slot.memory.get(), size, cudaMemcpyHostToDevice, stream));
  HSO_CHECK(cudaEventRecord(slot.copied.get(), stream));
}

void Staging::read(cudaStream_t stream, const void* device, void* host, Index bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  const bool small = bytes <= kSlotBytes;
  void* target = small ? next_free_slot().memory.get() : host;
  HSO_CHECK(cudaMemcpyAsync(target, device, size, cudaMemcpyDeviceToHost, stream));
  HSO_CHECK(cudaStreamSynchronize(stream));
  if (small) std::memcpy(host, target, size);
}

}  // namespace hso::detail
