// SPDX-License-Identifier: Apache-2.0
//
// What of a masked model does not depend on its input: a neuron whose weights are all removed, or read constants only.
#pragma once

#include <cmath>
#include <vector>

#include "hsogpu/objective/mask.hpp"
#include "prune/compact/channels.hpp"

namespace hso {

/// A number that is the same for every input, or NaN where it depends on the input (or is not finite).
using Constant = double;
inline bool is_constant(Constant c) { return std::isfinite(c); }

/// For every value of the map, the constant of each of its entries, dropout off. `theta` is zero where removed.
std::vector<std::vector<Constant>> constant_entries(const ModelSpec& model, const ChannelMap& map,
                                                    Span<const double> theta, const Mask& mask);

/// For each column of the layer the constant of all of its entries; NaN where they differ. `value` holds the constants
/// of the layer's input, whose entry e belongs to column e / run % columns.
std::vector<Constant> column_constants(const WeightLayer& w, const Shape& input, const std::vector<Constant>& value);

/// Whether readers can do without the column: it adds the same to every entry of a row, and 0 or something a bias can
/// hold.
bool is_foldable(const WeightLayer& w, Constant column);

/// One of the `count` weights from `first` on is kept.
bool any_kept(const Mask& mask, Index first, Index count);

}  // namespace hso
