// SPDX-License-Identifier: Apache-2.0
//
// In place of cuda/libraries/cuda_libraries.hpp: the doubles of cuBLAS and cuSOLVER are linked, so there is nothing to
// open.
#pragma once

#include <cublas_v2.h>
#include <cusolverDn.h>

namespace hso::detail {

inline void open_cuda_libraries() {}
inline bool cuda_libraries_are_open() { return true; }

}  // namespace hso::detail
