// SPDX-License-Identifier: Apache-2.0
#include "memory_pool.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

namespace hso::detail {

namespace {

struct Registered {
  int ordinal;
  cudaMemPool_t pool;
};
std::mutex mutex;
std::vector<Registered>& pools() {
  static auto& all = *new std::vector<Registered>;  // contexts of static duration may outlive it otherwise
  return all;
}

}  // namespace

MemoryPool::MemoryPool(int ordinal) : ordinal_(ordinal) {
  int supported = 0;
  HSO_CHECK(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, ordinal));
  if (supported == 0) return;
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.handleTypes = cudaMemHandleTypeNone;
  properties.location = {cudaMemLocationTypeDevice, ordinal};
  HSO_CHECK(cudaMemPoolCreate(pool_.fill(), &properties));
  std::uint64_t keep_everything = UINT64_MAX;
  HSO_CHECK(cudaMemPoolSetAttribute(pool_.get(), cudaMemPoolAttrReleaseThreshold, &keep_everything));
  const std::lock_guard guard(mutex);
  pools().push_back({ordinal, pool_.get()});
}

MemoryPool::~MemoryPool() {
  const std::lock_guard guard(mutex);
  std::erase_if(pools(), [&](const Registered& r) { return r.pool == pool_.get(); });
}

cudaError_t MemoryPool::try_allocate(void** memory, std::size_t bytes, cudaStream_t stream) {
  return pool_ ? cudaMallocFromPoolAsync(memory, bytes, pool_.get(), stream) : cudaMalloc(memory, bytes);
}

void* MemoryPool::allocate(std::size_t bytes, cudaStream_t stream) {
  void* memory = nullptr;
  cudaError_t status = try_allocate(&memory, bytes, stream);
  if (status == cudaErrorMemoryAllocation && pool_) {  // unused memory of a pool may be in pieces that are too small
    static_cast<void>(cudaGetLastError());
    make_room(stream);
    status = try_allocate(&memory, bytes, stream);
  }
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  HSO_CHECK(status);
  return memory;
}

void MemoryPool::release(void* memory, cudaStream_t stream) noexcept {
  static_cast<void>(pool_ ? cudaFreeAsync(memory, stream) : cudaFree(memory));
}

void MemoryPool::make_room(cudaStream_t stream) {
  HSO_CHECK(cudaStreamSynchronize(stream));
  const std::lock_guard guard(mutex);
  for (const Registered& r : pools())
    if (r.ordinal == ordinal_) HSO_CHECK(cudaMemPoolTrimTo(r.pool, 0));
}

std::uint64_t MemoryPool::idle_bytes() const {
  std::uint64_t reserved = 0, used = 0;
  if (!pool_) return 0;
  HSO_CHECK(cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrReservedMemCurrent, &reserved));
  HSO_CHECK(cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrUsedMemCurrent, &used));
  return reserved - used;
}

}  // namespace hso::detail
