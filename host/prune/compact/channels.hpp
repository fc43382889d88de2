// SPDX-License-Identifier: Apache-2.0
//
// Which entries of a model's values go together. A value is the input (0) or the output of layer i (i + 1). Every entry
// of every value belongs to a class; entries of one class are there or gone together, and what remains has a legal
// shape. Classes start as one for each neuron or channel that a layer makes; layers that need equal shapes merge them.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/graph/model.hpp"
#include "nn/layer_type.hpp"

namespace hso {

/// Entries of one channel of a value [C][H][W]; 1 for other ranks.
inline Index channel_size(const Shape& s) { return s.rank() == 3 ? s[1] * s[2] : 1; }

/// A layer of ChannelUse::weight: a matrix of `taps` weights for each pair of a row (what it makes) and a column (what
/// it reads). In a grouped convolution a row has the columns of its own group only.
struct WeightLayer {
  int layer = 0;
  ParameterInfo weight;
  Index bias = -1;  ///< offset in theta of the bias, -1 without
  Index groups = 1;
  Index taps = 1;       ///< kh kw of a convolution, else 1
  Index positions = 1;  ///< how often each weight is used
  bool pads = false;
  std::vector<int> rows, columns;  ///< their classes; columns over all groups

  bool is_conv() const { return weight.shape.rank() == 4; }
  Index row_columns() const { return static_cast<Index>(columns.size()) / groups; }
  Index row_size() const { return row_columns() * taps; }
  /// The first column that the row reads.
  Index first_column(Index row) const { return row / (static_cast<Index>(rows.size()) / groups) * row_columns(); }
  int row_class(Index row) const { return rows[static_cast<std::size_t>(row)]; }
  int column_class(Index column) const { return columns[static_cast<std::size_t>(column)]; }
};

/// f(row, column, position in theta of the first of the pair's weights)
template <class F>
void for_pairs(const WeightLayer& w, const F& f) {
  Index at = w.weight.offset;
  for (Index row = 0; row < static_cast<Index>(w.rows.size()); ++row)
    for (Index k = 0; k < w.row_columns(); ++k, at += w.taps) f(row, w.first_column(row) + k, at);
}

struct ChannelMap {
  std::vector<Shape> shapes;              ///< of each value
  std::vector<std::vector<int>> entries;  ///< the class of each entry of each value, row-major
  std::vector<ChannelUse> uses;           ///< of each layer
  std::vector<int> added;                 ///< for each layer that adds an earlier value, which; -1 for the rest
  std::vector<WeightLayer> weights;       ///< in the order of the layers
  std::vector<std::string> fixed;         ///< for each class why it must stay, "" where it may go
  std::vector<ParameterInfo> parameters;  ///< of the model
  Index size = 0;                         ///< length of theta

  int classes() const { return static_cast<int>(fixed.size()); }
  bool may_go(int c) const { return fixed[static_cast<std::size_t>(c)].empty(); }
};

/// InputError for a model that does not build.
ChannelMap map_channels(const ModelSpec& model);

/// How often a forward pass of one sample uses each parameter (ParameterInfo::uses).
std::vector<Index> weight_uses(const ModelSpec& model);

}  // namespace hso
