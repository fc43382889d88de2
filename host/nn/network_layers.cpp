// SPDX-License-Identifier: Apache-2.0
#include "nn/network_layers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"
#include "nn/layer_type.hpp"

namespace hso {
namespace {

constexpr std::size_t kMostLayers = 10'000;  ///< planning the memory of a chain takes time that grows with its square

template <class T>
class LayerBuilder {
 public:
  LayerBuilder(const ModelSpec& model, std::uint64_t dropout_seed)
      : model_(model), at_{model, built_.graph, built_.parameters, built_.statistics, built_.vocabulary, dropout_seed} {
    at_.x = built_.graph.input(model.input);
    at_.names.emplace("input", at_.x);
  }

  NetworkLayers<T> run() {
    for (at_.layer = 0; at_.layer < model_.layers.size(); ++at_.layer)
      built_.outputs.push_back(at_.x = located(model_.layers[at_.layer]));
    if (built_.parameters.empty())
      throw InputError(
          fmt::format("{}: no layer has parameters, expected one that has, such as linear", shown(model_.name)));
    if (!model_.statistics.empty()) built_.graph.set_statistics(model_.statistics);
    return std::move(built_);
  }

 private:
  Node located(const LayerSpec& l) {
    try {
      return append(l);
    } catch (const InputError& e) {
      throw InputError(location(model_, at_.layer) + e.what());
    }
  }

  Node append(const LayerSpec& l) {
    const std::size_t first = built_.parameters.size();
    const Node y = checked_type(l).build(at_, l);
    for (std::size_t i = first; i < built_.parameters.size(); ++i)
      if (ParameterInfo& p = built_.parameters[i]; p.uses == LayerSite<T>::kPositions)
        p.uses = built_.graph[y].shape.size() / p.shape[0];
    if (!l.name.empty() && !at_.names.emplace(l.name, y).second)
      throw InputError(fmt::format("{}: name = \"{}\" is taken by an earlier layer", l.type, l.name));
    return y;
  }

  static const LayerType& checked_type(const LayerSpec& l) {
    const LayerType* type = find_layer_type(l.type);
    if (type == nullptr) throw InputError(fmt::format("unknown type '{}'{}", l.type, expected_types(l.type)));
    std::string problem = name_problem(l.name);
    for (const LayerOption& option : type->options)
      if (problem.empty() && (option.required || !has_default(l, option))) problem = option_problem(l, option);
    if (!problem.empty()) throw InputError(fmt::format("{}: {}", l.type, problem));
    return *type;
  }

  const ModelSpec& model_;
  NetworkLayers<T> built_;
  LayerSite<T> at_;
};

}  // namespace

std::string layer_label(const ModelSpec& model, std::size_t layer) {
  const std::string& name = model.layers[layer].name;
  return name.empty() ? std::to_string(layer) : name;
}

std::string location(const ModelSpec& model, std::size_t layer) {
  const std::string& where = model.layers[layer].where.line;
  return fmt::format("{}: layer {}: ", where.empty() ? shown(model.name) : where, layer);
}

template <class T>
Node LayerSite<T>::parameter(const std::string& suffix, const Shape& tensor, Index fan_in, Index fan_out, bool is_bias,
                             Index uses) {
  const Index offset = graph.parameter_count();
  if (tensor.size() > std::numeric_limits<Index>::max() - offset)
    throw InputError(fmt::format("parameter {}: the count does not fit 64 bits", tensor.to_string()));
  const std::string name = layer_label(model, layer) + suffix;
  parameters.push_back(
      {name, tensor, offset, fan_in, fan_out, is_bias, static_cast<int>(layer), {}, is_bias ? 0 : uses});
  return graph.parameter(name, tensor);
}

template <class T>
void LayerSite<T>::takes_tokens(Index count) {
  if (x != graph.input_node())
    throw InputError(
        fmt::format("{}: its tokens come from another layer, expected the network's input", model.layers[layer].type));
  vocabulary = vocabulary == 0 ? count : std::min(vocabulary, count);
}

template <class T>
Node LayerSite<T>::earlier(const LayerSpec& l) const {
  const auto found = names.find(l.from);
  if (found != names.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& entry : names) known.push_back(entry.first);
  throw InputError(
      fmt::format("{}: from = \"{}\" is no earlier layer's name{}", l.type, l.from, did_you_mean(l.from, known)));
}

template <class T>
NetworkLayers<T> build_layers(const ModelSpec& model, std::uint64_t dropout_seed) {
  if (model.input.rank() < 1 || model.input.rank() >= Shape::kMaxRank || model.input.size() < 1)
    throw InputError(fmt::format(
        "{}: input {}, expected [features], [steps] of tokens, [steps, features] or [C, H, W], each at least 1",
        shown(model.name), model.input.to_string()));
  if (model.layers.size() > kMostLayers)
    throw InputError(
        fmt::format("{}: {} layers, expected at most {}", shown(model.name), model.layers.size(), kMostLayers));
  return LayerBuilder<T>(model, dropout_seed).run();
}

void check_model(const ModelSpec& model) { build_layers<float>(model); }

Index vocabulary(const ModelSpec& model) { return build_layers<float>(model).vocabulary; }

template struct LayerSite<float>;
template struct LayerSite<double>;
template NetworkLayers<float> build_layers(const ModelSpec&, std::uint64_t);
template NetworkLayers<double> build_layers(const ModelSpec&, std::uint64_t);

}  // namespace hso
