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

Staging::Room Staging::take(std::size_t bytes) {
  constexpr std::size_t kAlignment = 256;
  if (used_ + bytes > static_cast<std::size_t>(kSlotBytes)) {
    current_ = (current_ + 1) % slots_.size();
    used_ = 0;
    HSO_CHECK(cudaEventSynchronize(slots_[current_].copied.get()));  // an event never recorded counts as done
  }
  const Room room{static_cast<char*>(slots_[current_].memory.get()) + used_, slots_[current_].copied.get()};
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return room;
}

void Staging::upload(cudaStream_t stream, const void* host, void* device, Index bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  if (bytes > kSlotBytes) {
    HSO_CHECK(cudaMemcpyAsync(device, host, size, cudaMemcpyHostToDevice, stream));
    HSO_CHECK(cudaStreamSynchronize(stream));  // the caller may free `host` now, even if it is pinned
    return;
  }
  const Room room = take(size);
  std::memcpy(room.memory, host, size);
  HSO_CHECK(cudaMemcpyAsync(device, room.memory, size, cudaMemcpyHostToDevice, stream));
  HSO_CHECK(cudaEventRecord(room.copied, stream));
}

void Staging::read(cudaStream_t stream, const void* device, void* host, Index bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  const bool small = bytes <= kSlotBytes;
  void* target = small ? take(size).memory : host;
  HSO_CHECK(cudaMemcpyAsync(target, device, size, cudaMemcpyDeviceToHost, stream));
  HSO_CHECK(cudaStreamSynchronize(stream));
  if (small) std::memcpy(host, target, size);
}

}  // namespace hso::detail
