// SPDX-License-Identifier: Apache-2.0
//
// Ranges of indices, cut into parts for threads.
#pragma once

#include <algorithm>

#include "hsogpu/core/types.hpp"

namespace hso::detail {

struct Range {
  Index begin, end;
};

/// Part `part` of `parts` of [0, n), cut at multiples of `grain`.
inline Range part_of(Index n, Index part, Index parts, Index grain) {
  const Index grains = (n + grain - 1) / grain;
  return {std::min(n, grains * part / parts * grain), std::min(n, grains * (part + 1) / parts * grain)};
}

}  // namespace hso::detail
