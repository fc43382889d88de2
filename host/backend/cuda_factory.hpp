// SPDX-License-Identifier: Apache-2.0
//
// The one seam between host/ and cuda/: defined in cuda/cuda_context.cpp, or in no_cuda.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hsogpu/core/context.hpp"

namespace hso::detail {

struct CudaPresence {
  std::vector<std::string> devices;  ///< one description for each device, when at least one is usable
  int first_usable = 0;              ///< of them: this build has code for it
  std::string reason;                ///< why `devices` is empty
};

/// Never throws: a machine without a driver has no devices and a reason.
CudaPresence cuda_presence();

/// "CUDA runtime 13.0", "cuBLAS 13.1.0", ...: those that are loaded. With `load` cuBLAS and cuSOLVER are loaded now;
/// why one cannot be is a line then.
std::vector<std::string> cuda_libraries(bool load);

/// DeviceError when device `ordinal` or a library that it needs is not there.
std::unique_ptr<Context> create_cuda_context(int ordinal, const ContextOptions& options);

}  // namespace hso::detail
