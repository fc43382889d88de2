// SPDX-License-Identifier: Apache-2.0
//
// Which options each layer type takes: one table for the reader, the writer and the builder.
#pragma once

#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "hsogpu/graph/model.hpp"

namespace hso {

using LayerField = std::variant<Index LayerSpec::*, Pair LayerSpec::*, std::vector<Index> LayerSpec::*,
                                double LayerSpec::*, bool LayerSpec::*, std::string LayerSpec::*>;

struct LayerOption {
  std::string key;
  LayerField field;
  bool required = false;
  double least = 0;                                        ///< numbers, and each number of a pair or list
  double below = std::numeric_limits<double>::infinity();  ///< whole numbers stay below 2^31 in any case
};

struct LayerType {
  std::string type;
  std::vector<LayerOption> options;  ///< `type` and `name` aside
};

const std::vector<LayerType>& layer_types();
/// Null when there is none.
const LayerType* find_layer_type(const std::string& type);
/// ": expected one of ..." with a suggestion: the end of a message about an unknown type.
std::string expected_types(const std::string& found);

/// Of the activations that have one, else -1: their default.
double activation_parameter(const LayerSpec& layer);

bool has_default(const LayerSpec& layer, const LayerOption& option);
/// The option's value as TOML writes it.
std::string option_text(const LayerSpec& layer, const LayerOption& option);
/// "groups = 0, expected at least 1", or "" when the value is good.
std::string option_problem(const LayerSpec& layer, const LayerOption& option);
/// The same for a layer's name.
std::string name_problem(const std::string& name);

/// A TOML basic string, quotes included.
std::string toml_string(const std::string& text);

}  // namespace hso
