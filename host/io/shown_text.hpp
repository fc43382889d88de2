// SPDX-License-Identifier: Apache-2.0
//
// What messages echo of their input: foreign bytes go to a terminal, and a megabyte of them helps nobody.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace hso {

/// NaN without the sign that arithmetic happens to leave on it, so that messages and tables say "nan"; others as they
/// are.
inline double unsigned_nan(double value) {
  return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
}

/// At most `most` characters of the text, control bytes and broken UTF-8 as \xNN; of a longer text its beginning, then
/// "... (N bytes)".
std::string shown(std::string_view text, std::size_t most = 80);

/// The first `most` words, each shown by its first 40 characters, with commas between; "..." stands for the others.
std::string listed(const std::vector<std::string>& words, std::size_t most = 12);

/// A whole message for a terminal: control bytes but line feeds as \xNN; of one longer than `most` bytes the beginning
/// and the end, which say where the fault is and what was expected.
std::string shown_message(std::string_view message, std::size_t most = 2000);

}  // namespace hso
