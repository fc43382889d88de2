// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "hsogpu/prune/removal.hpp"
#include "io/choice.hpp"
#include "io/text_parts.hpp"

namespace hso {

namespace {

double parse_value(const std::string& text, const std::string& number) {
  const auto value = number_in<double>(number);
  if (!value || !std::isfinite(*value))
    throw UsageError(fmt::format("flat set '{}': found '{}', expected a number", text, number));
  return *value;
}

}  // namespace

const std::vector<std::string>& prune_score_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const PruneScoreInfo& info : prune_score_table()) out.push_back(info.name);
    return out;
  }();
  return names;
}

PruneScore parse_prune_score(const std::string& name) {
  return parse_choice<PruneScore>("score", name, prune_score_names());
}

const std::string& name_of(PruneScore score) { return prune_score_names().at(static_cast<std::size_t>(score)); }

FlatSet parse_flat_set(const std::string& text) {
  static const std::vector<std::string> rules{"auto", "count", "threshold", "mass"};
  const std::size_t colon = text.find(':');
  FlatSet out;
  out.rule = parse_choice<FlatSet::Rule>("flat set", text.substr(0, colon), rules);
  if ((out.rule == FlatSet::Rule::automatic) != (colon == std::string::npos))
    throw UsageError(fmt::format("flat set '{}': expected auto, count:K, threshold:X or mass:X", text));
  if (out.rule == FlatSet::Rule::automatic) return out;
  out.value = parse_value(text, text.substr(colon + 1));
  if (out.rule == FlatSet::Rule::count && (out.value < 1 || out.value != std::floor(out.value)))
    throw UsageError(fmt::format("flat set '{}': expected a whole number of eigenvalues, at least 1", text));
  if (out.rule != FlatSet::Rule::count && (out.value < 0 || out.value >= 1))
    throw UsageError(fmt::format("flat set '{}': expected a share in [0, 1)", text));
  return out;
}

FlatSet::Order parse_flat_order(const std::string& text) {
  static const std::vector<std::string> orders{"absolute", "algebraic"};
  return parse_choice<FlatSet::Order>("order", text, orders);
}

}  // namespace hso
