// SPDX-License-Identifier: Apache-2.0
#include "nn/layer_type.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "io/suggest.hpp"
#include "nn/layers/families.hpp"

namespace hso {

const std::vector<LayerType>& layer_types() {
  static const std::vector<LayerType> types = [] {
    std::vector<LayerType> all;
    for (const auto& family : {dense_layers, image_layers, signal_layers, recurrent_layers, norm_layers,
                               attention_layers, shape_layers, activation_layers})
      std::ranges::move(family(), std::back_inserter(all));
    return all;
  }();
  return types;
}

const LayerType* find_layer_type(const std::string& type) {
  const auto& types = layer_types();
  const auto at = std::find_if(types.begin(), types.end(), [&](const LayerType& t) { return t.type == type; });
  return at == types.end() ? nullptr : &*at;
}

const LayerType& layer_type_of(const LayerSpec& layer) {
  const LayerType* type = find_layer_type(layer.type);
  if (type == nullptr) throw std::logic_error("layer type '" + layer.type + "' of a model that was built");
  return *type;
}

std::string expected_types(const std::string& found) {
  std::vector<std::string> names;
  for (const LayerType& t : layer_types()) names.push_back(t.type);
  return fmt::format("{}: expected one of {}", did_you_mean(found, names), fmt::join(names, ", "));
}

}  // namespace hso
