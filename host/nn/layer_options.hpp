// SPDX-License-Identifier: Apache-2.0
//
// Options of a layer: fields of LayerSpec with a key and a range, for the reader, the writer and the builder alike.
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
  std::vector<std::string> choices{};                      ///< strings: one of these; none: an earlier layer's name
};

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
