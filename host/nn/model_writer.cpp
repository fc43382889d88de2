// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "nn/layer_type.hpp"

namespace hso {

std::string to_toml(const ModelSpec& model) {
  std::string text = fmt::format("name = {}\ninput = {}\n", toml_string(model.name), model.input.to_string());
  for (const LayerSpec& layer : model.layers) {
    const LayerType* type = find_layer_type(layer.type);
    if (type == nullptr)
      throw InputError(fmt::format("to_toml: unknown type '{}'{}", layer.type, expected_types(layer.type)));
    text += fmt::format("\n[[layer]]\ntype = \"{}\"\n", layer.type);
    if (!layer.name.empty()) text += fmt::format("name = {}\n", toml_string(layer.name));
    for (const LayerOption& option : type->options)
      if (option.required || !has_default(layer, option))
        text += fmt::format("{} = {}\n", option.key, option_text(layer, option));
  }
  return text;
}

}  // namespace hso
