// SPDX-License-Identifier: Apache-2.0
//
// The words of options that are enumerators, each list once, here or beside the rows of the family that has the option
// (entries_*.cpp): parsing, defaults, help and messages read it. An enum without words does not compile as an option.
#pragma once

#include <array>
#include <string>

#include "hsogpu/optim/hso.hpp"

namespace hso::detail {

/// In the order of the enum.
template <class Enum>
inline constexpr int kWords = 0;
template <>
inline constexpr std::array kWords<SignPolicy>{"raw", "abs", "clip", "shift", "truncate"};

template <class Enum>
const char* word_of(Enum value) {
  return kWords<Enum>[static_cast<std::size_t>(value)];
}
/// "a, b or c"
template <class Enum>
std::string list_of_words() {
  std::string out;
  const auto& words = kWords<Enum>;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 < words.size() ? ", " : " or ";
    out += words[i];
  }
  return out;
}

}  // namespace hso::detail
