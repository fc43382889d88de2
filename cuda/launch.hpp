// SPDX-License-Identifier: Apache-2.0
//
// The one way to queue a kernel, in a form that nvcc compiles and g++ too (tests/emulated_cuda).
#pragma once

#include "current_device.hpp"

namespace hso::detail {

/// Where kernels go: a stream whose device is current, and how many multiprocessors that device has.
struct Launch {
  OnDevice<cudaStream_t> stream;
  int multiprocessors;
};

struct LaunchShape {
  unsigned blocks, threads;
  std::size_t shared_bytes = 0;  ///< what shared_memory() points at in the kernel
};

/// Queues kernel(args...) on the stream. The arguments are converted to the kernel's parameters and copied.
template <class... Parameters, class... Args>
void launch_kernel(const Launch& on, const LaunchShape& shape, void (*kernel)(Parameters...), const Args&... args) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(shape.blocks);
  config.blockDim = dim3(shape.threads);
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = on.stream;
  HSO_CHECK(cudaLaunchKernelEx(&config, kernel, args...));
}

/// True when this build holds machine code, or code that can be translated, for the current device.
bool has_code_for_current_device();

}  // namespace hso::detail
