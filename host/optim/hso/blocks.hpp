// SPDX-License-Identifier: Apache-2.0
//
// Diagonal blocks of theta, from the names of its tensors.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/objective/objective.hpp"

namespace hso::detail {

struct ThetaBlock {
  std::string name;
  Index begin = 0, size = 0;
};

/// By size, the largest last, those of one size in the order of theta. `layer`: tensors that follow each other and
/// whose names agree up to the last '.' are one block; otherwise each is its own. Tensors that overlap are always one.
std::vector<ThetaBlock> theta_blocks(std::vector<ParameterSlice> layout, bool layer);

}  // namespace hso::detail
