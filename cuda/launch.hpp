// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

namespace hso::detail {

/// Where kernels go: a stream whose device is current, and how many multiprocessors that device has.
struct Launch {
  cudaStream_t stream;
  int multiprocessors;
};

/// True when this build holds machine code, or code that can be translated, for the current device.
bool has_code_for_current_device();

}  // namespace hso::detail
