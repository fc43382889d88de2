// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "graph/activations.hpp"
#include "graph/pointwise.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/graph.hpp"
#include "io/enumerator_name.hpp"

namespace hso {
namespace {

using List = detail::ForActivations<detail::Itself>;

template <class... F>
constexpr bool named_as_the_enum(detail::Types<F...>) {
  return ((detail::enumerator_name<static_cast<Activation>(detail::place_in<F, List>)>() == F::kName) && ...);
}
static_assert(named_as_the_enum(List{}), "enum Activation and ForActivations: the same names in the same order");
static_assert(detail::enumerator_name<static_cast<Activation>(List::kCount)>().empty(), "an Activation has no functor");

template <class... F>
std::vector<std::string> names_of(detail::Types<F...>) {
  return {F::kName...};
}

}  // namespace

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> names = names_of(List{});
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
  if (static_cast<std::size_t>(kind) >= activation_names().size())
    throw UsageError("activation: not a member of the enum");
  return detail::visit_activation(kind, parameter, [&](auto f) {
    return g.apply(std::make_unique<detail::Pointwise<T, decltype(f)>>(f, decltype(f)::kName), {x});
  });
}

template Node activation(Graph<float>&, Node, Activation, double);
template Node activation(Graph<double>&, Node, Activation, double);

}  // namespace hso
