// SPDX-License-Identifier: Apache-2.0
//
// What of a masked model its outputs depend on.
#pragma once

#include <vector>

#include "hsogpu/objective/mask.hpp"
#include "prune/compact/channels.hpp"
#include "prune/compact/constant_folding.hpp"

namespace hso {

/// Flags. A channel that is added to may be needed before the addition alone: then its class is needed, a row that
/// makes the sum is not.
struct Needs {
  std::vector<std::vector<char>> rows,
      columns;                ///< of each weight layer: what it makes, what of its input anyone reads
  std::vector<char> classes;  ///< in any of the values
};

/// Backwards from the outputs: a needed row needs a column that it reads by a kept weight and cannot do without.
/// `constants` are those of the columns of each weight layer.
Needs find_needs(const ModelSpec& model, const ChannelMap& map, const std::vector<std::vector<Constant>>& constants,
                 const Mask& mask);

}  // namespace hso
