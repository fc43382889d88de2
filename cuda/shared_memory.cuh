// SPDX-License-Identifier: Apache-2.0
//
// Shared memory of a block. Its size is an argument of the launch, so that no kernel declares arrays of its own.
#pragma once

#include <cuda_runtime.h>

namespace hso::detail {

extern __shared__ __align__(16) unsigned char shared_bytes[];

/// What the threads of a block share; the launch says how many bytes.
template <class V>
__device__ V* shared_memory() {
  return reinterpret_cast<V*>(shared_bytes);
}

}  // namespace hso::detail
