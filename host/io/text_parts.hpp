// SPDX-License-Identifier: Apache-2.0
//
// Numbers and parts of short texts: flags, model words, settings.
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hso {

/// The number that all of `text` is, in C's notation whatever the locale; empty for anything else, also for what does
/// not fit the type. Floating types take inf and nan: where these are no answer the caller looks.
template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The parts between separators; one empty part for an empty text.
inline std::vector<std::string> split_text(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace hso
