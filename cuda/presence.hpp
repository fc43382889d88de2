// SPDX-License-Identifier: Apache-2.0
//
// What CUDA devices there are, and what this build can do with them, told in words.
#pragma once

#include <string>

#include "backend/cuda_factory.hpp"

namespace hso::detail {

/// "NVIDIA H200, compute capability 9.0, 132 multiprocessors, 139.8 GiB". Never throws; no CUDA context is made.
std::string describe_device(int ordinal);

/// "sm_90": what the kernels of this build were compiled for.
std::string built_architectures();

}  // namespace hso::detail
