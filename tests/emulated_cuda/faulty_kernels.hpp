// SPDX-License-Identifier: Apache-2.0
//
// Kernels with one fault each: what the emulated device must find.
#pragma once

#include <cuda_runtime.h>

namespace hso::test {

enum class Fault {
  none,              ///< x[i] += 1 for i < n
  one_too_far,       ///< i <= n
  before_the_start,  ///< x[-1]
  misaligned,        ///< 16 bytes at once from x + 1
  same_word,         ///< all threads add to x[0]
  neighbour,         ///< x[i] = x[i + 1] while another thread writes x[i + 1]
  shared_word,       ///< the neighbour's shared word without a barrier between
  missing_barrier,   ///< half of the threads leave before a barrier
  other_barrier,     ///< threads wait at two lines
  shared_overflow,   ///< a word behind the block's shared memory
  wrong_block_order  ///< the last block to run decides
};

/// Queues the kernel on n floats with 64 threads a block.
cudaError_t launch_faulty(Fault fault, float* x, int n, cudaStream_t stream);

}  // namespace hso::test
