// SPDX-License-Identifier: Apache-2.0
//
// What an enumerator is called, for tables that must have a row for each.
#pragma once

#include <string_view>

namespace hso::detail {

/// "relu" of Activation::relu, "" of a value without a name: GCC and Clang end __PRETTY_FUNCTION__ with
/// "K = hso::Activation::relu]" or "K = (hso::Activation)8]".
template <auto K>
constexpr std::string_view enumerator_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("K = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  if (text.front() == '(') return {};
  return text.substr(text.rfind(':') + 1);
}

}  // namespace hso::detail
