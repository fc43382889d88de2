// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "graph/pointwise.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/graph.hpp"

namespace hso {
const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> names{"relu",    "leaky_relu", "elu",  "tanh",
                                              "sigmoid", "softplus",   "gelu", "silu"};
  return names;
}

Activation parse_activation(const std::string& name) {
  const auto& names = activation_names();
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end())
    throw UsageError(fmt::format("activation '{}': expected one of {}", name, fmt::join(names, ", ")));
  return static_cast<Activation>(at - names.begin());
}

template <class T>
Node activation(Graph<T>& g, Node x, Activation kind, double parameter) {
  const auto apply = [&](auto f) {
    const std::string_view name = activation_names()[static_cast<std::size_t>(kind)];
    return g.apply(std::make_unique<detail::Pointwise<T, decltype(f)>>(f, name), {x});
  };
  switch (kind) {
    case Activation::relu:
      return apply(detail::Relu{});
    case Activation::leaky_relu:
      return apply(detail::LeakyRelu{parameter < 0 ? 0.01 : parameter});
    case Activation::elu:
      return apply(detail::Elu{parameter < 0 ? 1.0 : parameter});
    case Activation::tanh:
      return apply(detail::Tanh{});
    case Activation::sigmoid:
      return apply(detail::Sigmoid{});
    case Activation::softplus:
      return apply(detail::Softplus{});
    case Activation::gelu:
      return apply(detail::Gelu{});
    case Activation::silu:
      return apply(detail::Silu{});
  }
  throw UsageError("activation: not a member of the enum");
}

template Node activation(Graph<float>&, Node, Activation, double);
template Node activation(Graph<double>&, Node, Activation, double);

}  // namespace hso
