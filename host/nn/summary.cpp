// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "nn/network_layers.hpp"

namespace hso {
namespace {

Index products(const ModelSpec& model, const ParameterInfo& weight) {
  try {
    return checked_multiply(weight.shape.size(), weight.uses);
  } catch (const InputError&) {
    throw InputError(location(model, static_cast<std::size_t>(weight.layer)) +
                     "more multiply-adds than 64 bits can count");
  }
}

/// 61706 -> "61,706"
std::string grouped(Index value) {
  std::string text = std::to_string(value);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), 1, ',');
  return text;
}

std::string row(const std::string& layer, const std::string& type, const std::string& output, const std::string& count,
                const std::string& work) {
  return fmt::format("{:<12} {:<18} {:<16} {:>12} {:>14}\n", layer, type, output, count, work);
}

}  // namespace

std::vector<LayerSummary> summarize(const ModelSpec& model) {
  const NetworkLayers<float> built = build_layers<float>(model);
  std::vector<LayerSummary> layers;
  for (std::size_t i = 0; i < model.layers.size(); ++i)
    layers.push_back({layer_label(model, i), model.layers[i].type, built.graph[built.outputs[i]].shape});
  for (const ParameterInfo& p : built.parameters) {
    LayerSummary& layer = layers[static_cast<std::size_t>(p.layer)];
    layer.parameters += p.shape.size();
    layer.multiply_adds += products(model, p);
  }
  return layers;
}

Index multiply_adds(const ModelSpec& model) {
  Index total = 0;
  for (const LayerSummary& layer : summarize(model)) total += layer.multiply_adds;
  return total;
}

std::string summary_table(const ModelSpec& model) {
  std::string text = row("layer", "type", "output", "parameters", "multiply-adds");
  text += row("input", "", model.input.to_string(), "", "");
  Index parameters = 0, work = 0;
  for (const LayerSummary& l : summarize(model)) {
    text += row(l.name, l.type, l.output.to_string(), grouped(l.parameters), grouped(l.multiply_adds));
    parameters += l.parameters;
    work += l.multiply_adds;
  }
  return text + row("total", "", "", grouped(parameters), grouped(work));
}

}  // namespace hso
