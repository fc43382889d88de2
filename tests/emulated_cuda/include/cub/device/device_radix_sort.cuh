// SPDX-License-Identifier: Apache-2.0
//
// The part of cub::DeviceRadixSort that cuda/ uses, for the emulated device: ../../../cub.cpp.
#pragma once

#include <cuda_runtime.h>

namespace hso::emulated {

/// For keys of 32 and 64 bits without a sign and 64-bit values.
template <class Key>
cudaError_t sort_pairs(void* storage, std::size_t& storage_bytes, const Key* keys_in, Key* keys_out,
                       const std::int64_t* values_in, std::int64_t* values_out, std::int64_t count, int begin_bit,
                       int end_bit, cudaStream_t stream);

}  // namespace hso::emulated

namespace cub {

struct DeviceRadixSort {
  template <class Key, class Value, class Count>
  static cudaError_t SortPairs(void* storage, std::size_t& storage_bytes, const Key* keys_in, Key* keys_out,
                               const Value* values_in, Value* values_out, Count count, int begin_bit = 0,
                               int end_bit = sizeof(Key) * 8, cudaStream_t stream = nullptr) {
    return hso::emulated::sort_pairs(storage, storage_bytes, keys_in, keys_out, values_in, values_out, count, begin_bit,
                                     end_bit, stream);
  }
};

}  // namespace cub
