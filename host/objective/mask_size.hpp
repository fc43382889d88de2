// SPDX-License-Identifier: Apache-2.0
//
// The check that a mask has as many entries as an objective has parameters.
#pragma once

#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/mask.hpp"

namespace hso::detail {

inline void require_size(const char* what, const Mask& mask, Index n) {
  if (mask.size() != n)
    throw InputError(fmt::format("{}: the mask has {} parameters, the objective {}", what, mask.size(), n));
}

}  // namespace hso::detail
