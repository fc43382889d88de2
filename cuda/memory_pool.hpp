// SPDX-License-Identifier: Apache-2.0
//
// Stream-ordered device memory from a pool of the context's own: the threshold of the device's default pool would
// change what other code in the process sees. The pool keeps what is released for the next allocation; when a device
// runs out, the pools of all contexts on it give back what they do not use. Devices without pools allocate directly.
#pragma once

#include <cstdint>

#include "handles.hpp"

namespace hso::detail {

class MemoryPool {
 public:
  /// The device must be current here and in every call.
  explicit MemoryPool(int ordinal);
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// nullptr when the device has not enough memory, after make_room and a second try.
  void* allocate(std::size_t bytes, cudaStream_t stream);
  void release(void* memory, cudaStream_t stream) noexcept;
  /// Waits for the stream, then trims every pool on this device.
  void make_room(cudaStream_t stream);
  /// Bytes that the pool holds and does not use.
  std::uint64_t idle_bytes() const;

 private:
  cudaError_t try_allocate(void** memory, std::size_t bytes, cudaStream_t stream);
  int ordinal_;
  PoolHandle pool_;  ///< empty: the device has none
};

}  // namespace hso::detail
