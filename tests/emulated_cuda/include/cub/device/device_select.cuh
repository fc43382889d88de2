// SPDX-License-Identifier: Apache-2.0
//
// The part of cub::DeviceSelect that cuda/ uses, for the emulated device: ../../../cub.cpp.
#pragma once

#include <cuda_runtime.h>

namespace hso::emulated {

cudaError_t select_flagged(void* storage, std::size_t& storage_bytes, const std::int64_t* in, const std::uint8_t* flags,
                           std::int64_t* out, std::int64_t* selected, std::int64_t count, cudaStream_t stream);

}  // namespace hso::emulated

namespace cub {

struct DeviceSelect {
  template <class In, class Flags, class Out, class Selected>
  static cudaError_t Flagged(void* storage, std::size_t& storage_bytes, In in, Flags flags, Out out, Selected selected,
                             std::int64_t count, cudaStream_t stream = nullptr) {
    return hso::emulated::select_flagged(storage, storage_bytes, in, flags, out, selected, count, stream);
  }
};

}  // namespace cub
