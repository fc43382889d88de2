// SPDX-License-Identifier: Apache-2.0
//
// The way of a call of cuBLAS or cuSOLVER into its stream.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "operands.hpp"

namespace hso::emulated {

/// A call whose arguments are found good.
struct LibraryCall {
  std::string name;
  std::vector<Operand> operands;
  double flops;  ///< the usual count for the algorithm
  std::function<void()> run;
  Operand workspace{};
};

/// Checks the memory of the operands and of the workspace, and queues the work on the stream of a handle that belongs
/// to this device. The work first overwrites the workspace, the first `rubbish` bytes of it. Violation when another
/// device is the current one.
void queue_call(cudaStream_t stream, int device, LibraryCall call, std::int64_t rubbish);

}  // namespace hso::emulated
