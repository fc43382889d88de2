// SPDX-License-Identifier: Apache-2.0
//
// The GPU architectures that the kernels were compiled for, and the devices that can run them.
#pragma once

#include <span>

namespace hso::detail {

/// What nvcc compiled the kernels for, ascending, as it numbers them: 900 is compute capability 9.0.
std::span<const int> kernel_architectures();

/// Machine code runs on later devices of its generation; the newest architecture's portable code on all later ones.
inline bool can_run_on(std::span<const int> built, int capability) {
  for (const int a : built)
    if (a <= capability && (a / 100 == capability / 100 || a == built.back())) return true;
  return false;
}

}  // namespace hso::detail
