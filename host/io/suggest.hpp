// SPDX-License-Identifier: Apache-2.0
//
// "did you mean" for words that are not known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hso {

/// Insertions, deletions and replacements of one character, and swaps of neighbours, that turn a into b (optimal string
/// alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// " (did you mean 'x'?)" for the nearest known word within a third of its letters (two at least, one where it has
/// fewer than four), or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace hso
