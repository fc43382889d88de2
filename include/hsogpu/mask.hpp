// SPDX-License-Identifier: Apache-2.0
//
// Pruning masks: which parameters are there. Masks compose: what either removed is removed.
#pragma once

#include <cstdint>
#include <vector>

#include "hsogpu/types.hpp"

namespace hso {

/// Which parameters are there.
struct Mask {
  std::vector<std::uint8_t> kept;  ///< one a parameter, in the order of theta: 1 kept, 0 removed
  Index size() const;              ///< parameters
  Index count() const;             ///< kept
  double sparsity() const;         ///< share removed; 0 for an empty mask
  static Mask all(Index n);
  Mask& operator&=(const Mask& other);  ///< removed in either; InputError when the sizes differ
  bool operator==(const Mask&) const = default;
};

}  // namespace hso
