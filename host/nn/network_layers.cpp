// SPDX-License-Identifier: Apache-2.0
#include "nn/network_layers.hpp"

#include <fmt/format.h>

#include <limits>
#include <map>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"
#include "nn/layer_options.hpp"

namespace hso {
namespace {

constexpr std::size_t kMostLayers = 10'000;  ///< planning the memory of a chain takes time that grows with its square

template <class T>
class LayerBuilder {
 public:
  LayerBuilder(const ModelSpec& model, std::uint64_t dropout_seed) : model_(model), seed_(dropout_seed) {
    x_ = built_.graph.input(model.input);
    names_.emplace("input", x_);
  }

  NetworkLayers<T> run() {
    for (at_ = 0; at_ < model_.layers.size(); ++at_) built_.outputs.push_back(x_ = located(model_.layers[at_]));
    if (built_.parameters.empty())
      throw InputError(
          fmt::format("{}: no layer has parameters, expected a linear or conv2d layer", shown(model_.name)));
    return std::move(built_);
  }

 private:
  using Rule = Node (LayerBuilder::*)(const LayerSpec&);

  Node located(const LayerSpec& l) {
    try {
      return append(l);
    } catch (const InputError& e) {
      throw InputError(location(model_, at_) + e.what());
    }
  }

  Node append(const LayerSpec& l) {
    static const std::map<std::string, Rule> rules{{"linear", &LayerBuilder::linear_layer},
                                                   {"conv2d", &LayerBuilder::conv_layer},
                                                   {"maxpool2d", &LayerBuilder::maxpool_layer},
                                                   {"avgpool2d", &LayerBuilder::avgpool_layer},
                                                   {"adaptive_avgpool2d", &LayerBuilder::adaptive_layer},
                                                   {"flatten", &LayerBuilder::flatten_layer},
                                                   {"reshape", &LayerBuilder::reshape_layer},
                                                   {"dropout", &LayerBuilder::dropout_layer},
                                                   {"add", &LayerBuilder::add_layer}};
    check_options(l);
    const auto rule = rules.find(l.type);
    const Node y = rule == rules.end() ? activation_layer(l) : (this->*rule->second)(l);
    if (!l.name.empty() && !names_.emplace(l.name, y).second)
      throw InputError(fmt::format("{}: name = \"{}\" is taken by an earlier layer", l.type, l.name));
    return y;
  }

  static void check_options(const LayerSpec& l) {
    const LayerType* type = find_layer_type(l.type);
    if (type == nullptr) throw InputError(fmt::format("unknown type '{}'{}", l.type, expected_types(l.type)));
    std::string problem = name_problem(l.name);
    for (const LayerOption& option : type->options)
      if (problem.empty() && (option.required || !has_default(l, option))) problem = option_problem(l, option);
    if (!problem.empty()) throw InputError(fmt::format("{}: {}", l.type, problem));
  }

  const Shape& shape() const { return built_.graph[x_].shape; }

  Node parameter(const char* suffix, const Shape& tensor, Index fan_in, Index fan_out, bool is_bias) {
    const Index offset = built_.graph.parameter_count();
    if (tensor.size() > std::numeric_limits<Index>::max() - offset)
      throw InputError(fmt::format("parameter {}: the count does not fit 64 bits", tensor.to_string()));
    const std::string name = layer_label(model_, at_) + suffix;
    built_.parameters.push_back({name, tensor, offset, fan_in, fan_out, is_bias, static_cast<int>(at_)});
    return built_.graph.parameter(name, tensor);
  }

  Node linear_layer(const LayerSpec& l) {
    const Index in = shape()[shape().rank() - 1];
    const Node w = parameter(".weight", {l.out, in}, in, l.out, false);
    const Node b = l.bias ? parameter(".bias", {l.out}, in, l.out, true) : kNoNode;
    return linear(built_.graph, x_, w, b);
  }

  Node conv_layer(const LayerSpec& l) {
    if (shape().rank() != 3) throw InputError(fmt::format("conv2d: input {}, expected [C, H, W]", shape().to_string()));
    if (shape()[0] % l.groups != 0 || l.out % l.groups != 0)
      throw InputError(fmt::format("conv2d: input {} and out = {}, expected channels that divide into groups = {}",
                                   shape().to_string(), l.out, l.groups));
    const Shape weight{l.out, shape()[0] / l.groups, l.kernel[0], l.kernel[1]};
    const Index fan_in = weight.size() / l.out, fan_out = l.out * l.kernel[0] * l.kernel[1];
    const Node w = parameter(".weight", weight, fan_in, fan_out, false);
    const Node b = l.bias ? parameter(".bias", {l.out}, fan_in, fan_out, true) : kNoNode;
    const Pair stride = l.stride == Pair{0, 0} ? Pair{1, 1} : l.stride;
    return conv2d(built_.graph, x_, w, b,
                  {stride[0], stride[1], l.padding[0], l.padding[1], l.dilation[0], l.dilation[1], l.groups});
  }

  static Pool2dOptions pool_options(const LayerSpec& l) {
    return {l.kernel[0], l.kernel[1], l.stride[0], l.stride[1], l.padding[0], l.padding[1]};
  }
  Node maxpool_layer(const LayerSpec& l) { return maxpool2d(built_.graph, x_, pool_options(l)); }
  Node avgpool_layer(const LayerSpec& l) { return avgpool2d(built_.graph, x_, pool_options(l)); }
  Node adaptive_layer(const LayerSpec& l) {
    if (l.size.size() > 2) throw InputError("adaptive_avgpool2d: size has over two numbers, expected height and width");
    return adaptive_avgpool2d(built_.graph, x_, l.size.front(), l.size.back());
  }

  Node flatten_layer(const LayerSpec&) { return flatten(built_.graph, x_); }
  Node reshape_layer(const LayerSpec& l) { return reshape(built_.graph, x_, Shape(Span<const Index>(l.size))); }
  Node dropout_layer(const LayerSpec& l) { return dropout(built_.graph, x_, l.p, seed_); }

  Node add_layer(const LayerSpec& l) {
    const auto earlier = names_.find(l.from);
    if (earlier != names_.end()) return add(built_.graph, x_, earlier->second);
    std::vector<std::string> known;
    for (const auto& entry : names_) known.push_back(entry.first);
    throw InputError(
        fmt::format("add: from = \"{}\" is no earlier layer's name{}", l.from, did_you_mean(l.from, known)));
  }

  Node activation_layer(const LayerSpec& l) {
    return activation(built_.graph, x_, parse_activation(l.type), activation_parameter(l));
  }

  const ModelSpec& model_;
  std::uint64_t seed_;
  NetworkLayers<T> built_;
  Node x_ = kNoNode;
  std::size_t at_ = 0;
  std::map<std::string, Node> names_;
};

}  // namespace

std::string layer_label(const ModelSpec& model, std::size_t layer) {
  const std::string& name = model.layers[layer].name;
  return name.empty() ? std::to_string(layer) : name;
}

std::string location(const ModelSpec& model, std::size_t layer) {
  const std::string& where = model.layers[layer].where;
  return fmt::format("{}: layer {}: ", where.empty() ? shown(model.name) : where, layer);
}

template <class T>
NetworkLayers<T> build_layers(const ModelSpec& model, std::uint64_t dropout_seed) {
  if (model.input.rank() < 1 || model.input.rank() >= Shape::kMaxRank || model.input.size() < 1)
    throw InputError(fmt::format("{}: input {}, expected [features] or [C, H, W], each at least 1", shown(model.name),
                                 model.input.to_string()));
  if (model.layers.size() > kMostLayers)
    throw InputError(
        fmt::format("{}: {} layers, expected at most {}", shown(model.name), model.layers.size(), kMostLayers));
  return LayerBuilder<T>(model, dropout_seed).run();
}

void check_model(const ModelSpec& model) { build_layers<float>(model); }

template NetworkLayers<float> build_layers(const ModelSpec&, std::uint64_t);
template NetworkLayers<double> build_layers(const ModelSpec&, std::uint64_t);

}  // namespace hso
