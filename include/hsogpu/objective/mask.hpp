// SPDX-License-Identifier: Apache-2.0
//
// Which parameters of a pruned network are there.
#pragma once

#include <cstdint>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso {

/// Which parameters are there.
struct Mask {
  std::vector<std::uint8_t> kept;  ///< one a parameter, in the order of theta: 1 kept, 0 removed

  Index size() const;       ///< parameters
  Index count() const;      ///< kept
  double sparsity() const;  ///< share removed; 0 for an empty mask
  static Mask all(Index n);
  /// Removed in either; InputError when the sizes differ.
  Mask& operator&=(const Mask& other);
  bool operator==(const Mask&) const = default;
};

}  // namespace hso
