// SPDX-License-Identifier: Apache-2.0
#include "nn/layer_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace hso {
namespace {

constexpr double kWholeBelow = 2147483648.0;  // BLAS and the kernels count a layer's extents in 32 bits

std::string text_of(Index value) { return fmt::format("{}", value); }
std::string text_of(double value) { return fmt::format("{}", value); }
std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(const std::string& value) { return toml_string(value); }
std::string text_of(const Pair& v) { return v[0] == v[1] ? text_of(v[0]) : fmt::format("[{}, {}]", v[0], v[1]); }
std::string text_of(const std::vector<Index>& v) { return fmt::format("[{}]", fmt::join(v, ", ")); }

/// NaN is in no range.
bool in_range(double value, double least, double below) { return value >= least && value < below; }

bool good(Index v, const LayerOption& o) {
  return in_range(static_cast<double>(v), o.least, std::min(o.below, kWholeBelow));
}
bool good(double v, const LayerOption& o) { return in_range(v, o.least, o.below); }
bool good(bool, const LayerOption&) { return true; }
bool good(const std::string& v, const LayerOption& o) {
  return o.choices.empty() ? !v.empty() : std::ranges::find(o.choices, v) != o.choices.end();
}
template <class List>
bool good(const List& v, const LayerOption& o) {
  return !v.empty() && std::all_of(v.begin(), v.end(), [&](Index entry) { return good(entry, o); });
}

std::string expected(const LayerOption& o) {
  if (!o.choices.empty()) return fmt::format("one of {}", fmt::join(o.choices, ", "));
  if (std::holds_alternative<std::string LayerSpec::*>(o.field)) return "the name of an earlier layer, or \"input\"";
  if (std::isfinite(o.below)) return fmt::format("a number from {} to below {}", o.least, o.below);
  if (std::holds_alternative<double LayerSpec::*>(o.field)) return fmt::format("a finite number, at least {}", o.least);
  return fmt::format("at least {} and below 2^31", o.least);
}

}  // namespace

bool has_default(const LayerSpec& layer, const LayerOption& option) {
  static const LayerSpec defaults;
  return std::visit([&](auto field) { return layer.*field == defaults.*field; }, option.field);
}

std::string option_text(const LayerSpec& layer, const LayerOption& option) {
  return std::visit([&](auto field) { return text_of(layer.*field); }, option.field);
}

std::string option_problem(const LayerSpec& layer, const LayerOption& option) {
  if (std::visit([&](auto field) { return good(layer.*field, option); }, option.field)) return "";
  return fmt::format("{} = {}, expected {}", option.key, option_text(layer, option), expected(option));
}

std::string name_problem(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto later = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  if (name.empty()) return "";
  if (name == "input") return "name = \"input\" is the network's input, expected another name";
  if (letter(name[0]) && std::all_of(name.begin(), name.end(), later)) return "";
  return fmt::format("name = {}, expected a letter, then letters, digits and '_'", toml_string(name));
}

std::string toml_string(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\u{:04X}", byte);
    else
      out += c;
  }
  return out + '"';
}

}  // namespace hso
