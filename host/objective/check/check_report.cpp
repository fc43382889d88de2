// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "hsogpu/objective/check.hpp"

namespace hso {

const char* name_of(CheckStatus status) {
  constexpr const char* kNames[] = {"passed", "failed", "inconclusive", "skipped"};
  return kNames[static_cast<int>(status)];
}

bool CheckReport::passed() const {
  return std::none_of(items.begin(), items.end(), [](const auto& item) { return item.status == CheckStatus::failed; });
}

const CheckItem* CheckReport::find(const std::string& name) const {
  const auto at = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.name == name; });
  return at == items.end() ? nullptr : &*at;
}

std::string CheckReport::table() const {
  std::size_t width = 4;
  for (const CheckItem& item : items) width = std::max(width, item.name.size());
  std::string out = fmt::format("{:<{}}  {:<12}  {:>8}  {:>8}\n", "item", width, "outcome", "error", "bound");
  for (const CheckItem& item : items) {
    const bool measured = item.status != CheckStatus::skipped;
    out += fmt::format("{:<{}}  {:<12}", item.name, width, name_of(item.status));
    if (measured) out += fmt::format("  {:>8.1e}  {:>8.1e}  {}", item.error, item.bound, item.bound_from);
    out += '\n';
    if (!item.note.empty()) out += fmt::format("{:<{}}  {}\n", "", width, item.note);
  }
  return out;
}

namespace {

/// JSON has no infinities: what is not finite is a word.
nlohmann::ordered_json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : "inf";
}

}  // namespace

std::string CheckReport::json() const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CheckItem& item : items)
    list.push_back({{"name", item.name},
                    {"outcome", name_of(item.status)},
                    {"error", number(item.error)},
                    {"bound", number(item.bound)},
                    {"bound_from", item.bound_from},
                    {"note", item.note}});
  return nlohmann::ordered_json{{"passed", passed()}, {"items", list}}.dump(2) + "\n";
}

}  // namespace hso
