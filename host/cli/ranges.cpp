// SPDX-License-Identifier: Apache-2.0
#include "cli/ranges.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "io/shown_text.hpp"

namespace hso::cli {
namespace {

template <class Number, class Accepts>
CLI::Validator validator(const std::string& expected, const std::string& name, const Accepts& accepts) {
  return CLI::Validator(
      [=](const std::string& text) {
        Number value = 0;
        const bool good = CLI::detail::lexical_cast(text, value) && accepts(value);
        return good ? std::string() : fmt::format("found '{}', expected {}", shown(text), expected);
      },
      name);
}

}  // namespace

CLI::Validator whole_number(Index least, Index most) {
  return validator<Index>(fmt::format("a whole number from {} to {}", least, most), fmt::format(">= {}", least),
                          [=](Index value) { return value >= least && value <= most; });
}

CLI::Validator number_from_zero() {
  return validator<double>("a finite number, at least 0", ">= 0",
                           [](double value) { return std::isfinite(value) && value >= 0; });
}

CLI::Validator number_above_zero() {
  return validator<double>("a finite number above 0", "> 0",
                           [](double value) { return std::isfinite(value) && value > 0; });
}

}  // namespace hso::cli
