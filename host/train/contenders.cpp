// SPDX-License-Identifier: Apache-2.0
//
// What a comparison is asked for: contenders, their search grids, budgets.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/train/compare.hpp"
#include "io/suggest.hpp"
#include "io/text_parts.hpp"
#include "train/fields.hpp"

namespace hso {
namespace {

constexpr Index kMostRates = 100;

bool parse_positive(const std::string& text, double& out) {
  out = number_in<double>(text).value_or(0);
  return std::isfinite(out) && out > 0;
}

/// Options that can be searched, the first that a method has: those that a rate of 1 stands beside come before the
/// rate itself.
const std::vector<SearchedOption>& candidates() {
  static const std::vector<SearchedOption> list{
      {"delta", 0, 10},       {"damping", 0, 10},           {"radius", 0, 10},         {"history", 0, 2, true},
      {"memory", 0, 2, true}, {"rate", 0, std::sqrt(10.0)}, {"iterations", 0, 2, true}};
  return list;
}

const OptimizerInfo& info_of(const std::string& optimizer) {
  const auto& table = optimizer_table();
  return *std::find_if(table.begin(), table.end(), [&](const OptimizerInfo& i) { return i.name == optimizer; });
}

/// The option with the value it would have, if that can be the centre of a geometric grid.
bool centred(const Contender& contender, SearchedOption& option) {
  for (const OptionInfo& o : info_of(contender.optimizer).options) {
    if (o.name != option.name) continue;
    const auto given = contender.settings.find(o.name);
    return parse_positive(given == contender.settings.end() ? o.default_value : given->second, option.centre);
  }
  return false;
}

double to_three_digits(double value) { return number_in<double>(fmt::format("{:.3g}", value)).value_or(value); }

}  // namespace

Contender parse_contender(const std::string& text) {
  const std::string origin = "--compare";
  const std::size_t colon = std::min(text.find(':'), text.size());
  Contender out{text, text.substr(0, colon)};
  TrainOptions checked;
  checked.optimizer.clear();
  set_field(checked, *find_train_field("optimizer"), out.optimizer, origin);
  if (colon == text.size()) return out;
  for (const std::string& setting : split_text(text.substr(colon + 1), ',')) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == setting.size())
      throw UsageError(fmt::format("{}: found '{}' in '{}', expected OPTION=VALUE", origin, setting, text));
    set_optimizer_option(checked, setting.substr(0, equals), setting.substr(equals + 1), origin);
  }
  out.settings = checked.optimizer_settings;
  make_optimizer<double>(out.optimizer, out.settings);  // values out of range
  return out;
}

std::vector<Contender> parse_contenders(const std::string& list) {
  std::vector<std::string> texts;
  for (const std::string& part : split_text(list, ',')) {
    const bool goes_on = part.find('=') != std::string::npos && part.find(':') == std::string::npos && !texts.empty();
    if (goes_on)
      texts.back() += "," + part;
    else
      texts.push_back(part);
  }
  std::vector<Contender> out;
  for (const std::string& text : texts) {
    out.push_back(parse_contender(text));
    for (std::size_t i = 0; i + 1 < out.size(); ++i)
      if (out[i].name == text) throw UsageError(fmt::format("--compare: '{}' is there twice", text));
  }
  return out;
}

SearchedOption searched_option(const Contender& contender) {
  SearchedOption rate{"rate", 0, std::sqrt(10.0)};
  for (const OptionInfo& o : info_of(contender.optimizer).options)
    if (o.name == rate.name && o.default_value != "1" && centred(contender, rate)) return rate;
  const auto in_region = [&](const char* option) {
    const auto at = contender.settings.find(option);
    return at != contender.settings.end() && at->second == "trust_region";
  };
  const bool no_delta = in_region("control") || in_region("globalization");
  for (SearchedOption option : candidates())
    if (!(no_delta && option.name == "delta") && centred(contender, option)) return option;
  return {};
}

std::vector<double> search_grid(const SearchedOption& option, Index count) {
  if (count < 1 || count > kMostRates)
    throw UsageError(fmt::format("compare: rates = {}, expected 1 to {}", count, kMostRates));
  if (option.name.empty()) return {0};
  std::vector<double> grid;
  for (Index i = 0; i < count; ++i) {
    const auto power = static_cast<double>(i - count / 2);
    const double value = option.centre * std::pow(option.factor, power);
    grid.push_back(power == 0     ? option.centre
                   : option.whole ? std::max(1.0, std::round(value))
                                  : to_three_digits(value));
  }
  return grid;
}

const char* name_of(BudgetKind kind) {
  static const char* const names[] = {"steps", "seconds", "gradients"};
  return names[static_cast<std::size_t>(kind)];
}

Budget parse_budget(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string word = text.substr(0, colon);
  for (const BudgetKind kind : {BudgetKind::steps, BudgetKind::seconds, BudgetKind::gradients}) {
    if (word != name_of(kind)) continue;
    Budget budget{kind, 0};
    const bool number = colon != std::string::npos && parse_positive(text.substr(colon + 1), budget.amount);
    if (number && (kind != BudgetKind::steps || budget.amount == std::floor(budget.amount))) return budget;
  }
  throw UsageError(
      fmt::format("--compare-budget: found '{}'{}, expected steps:N (a whole number), seconds:X or "
                  "gradients:X, above 0",
                  text, did_you_mean(word, {"steps", "seconds", "gradients"})));
}

}  // namespace hso
