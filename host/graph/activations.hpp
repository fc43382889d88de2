// SPDX-License-Identifier: Apache-2.0
//
// From an activation's name or number to its functor (detail/elements/activation.hpp).
#pragma once

#include <cstddef>
#include <type_traits>

#include "hsogpu/detail/elements/activation.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso::detail {

template <class F>
using Itself = F;

/// visit(F()), or visit(F(parameter)) where it takes one; a negative parameter is its default.
template <class Visit, class... F>
auto visit_activation(Activation kind, double parameter, const Visit& visit, Types<F...>) {
  using Result = std::common_type_t<std::invoke_result_t<const Visit&, F>...>;
  using Call = Result (*)(const Visit&, double);
  static constexpr Call kCalls[] = {[](const Visit& with, [[maybe_unused]] double p) -> Result {
    if constexpr (requires { F::kDefault; })
      return with(F{p < 0 ? F::kDefault : p});
    else
      return with(F{});
  }...};
  return kCalls[static_cast<std::size_t>(kind)](visit, parameter);
}
template <class Visit>
auto visit_activation(Activation kind, double parameter, const Visit& visit) {
  return visit_activation(kind, parameter, visit, ForActivations<Itself>{});
}

/// Whether its first derivative jumps somewhere.
inline bool has_kink(Activation kind) {
  return visit_activation(kind, -1, [](auto f) { return decltype(f)::kKink; });
}

}  // namespace hso::detail
