// SPDX-License-Identifier: Apache-2.0
//
// One type for each activation (detail/elements/activation.hpp).
#include "graph/activations.hpp"
#include "nn/layers/families.hpp"

namespace hso {
namespace {

/// Of the activations that take one.
std::vector<LayerOption> options(const std::string& name) {
  if (name == "leaky_relu") return {{"slope", &LayerSpec::slope}};
  if (name == "elu") return {{"alpha", &LayerSpec::alpha}};
  return {};
}

/// Negative: the activation takes none, or its default.
double parameter(const LayerSpec& l) {
  const auto takes = options(l.type);
  return takes.empty() ? -1 : l.*std::get<double LayerSpec::*>(takes.front().field);
}

bool kink(const LayerSpec& l) { return detail::has_kink(parse_activation(l.type)); }

double constant(const LayerSpec& l, double x) {
  return detail::visit_activation(parse_activation(l.type), parameter(l), [x](auto f) { return f.value(x); });
}

template <class T>
Node build(LayerSite<T>& at, const LayerSpec& l) {
  return activation(at.graph, at.x, parse_activation(l.type), parameter(l));
}

}  // namespace

std::vector<LayerType> activation_layers() {
  std::vector<LayerType> types;
  for (const std::string& name : activation_names())
    types.push_back(
        {name, options(name), kink, layer::always<ChannelUse::entrywise>, constant, build<float>, build<double>});
  return types;
}

}  // namespace hso
