// SPDX-License-Identifier: Apache-2.0
//
// One entry of the optimizer table: name, summary, options by name, makers. A family of methods lists its entries in
// entries_<family>.cpp, each option once, by `fields(options, visit)` in namespace hso: parsing, the help text and the
// tests are visitors of that list. Words that an option may have stand in choices.hpp.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <type_traits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"
#include "optim/choices.hpp"

namespace hso::detail {

/// The value of an option from its text. UsageError starts with `where` and says what is expected.
void parse_option(const std::string& where, const std::string& text, double& out);
void parse_option(const std::string& where, const std::string& text, int& out);
void parse_option(const std::string& where, const std::string& text, std::uint64_t& out);
void parse_option(const std::string& where, const std::string& text, bool& out);
void parse_option(const std::string& where, const std::string& text, Curvature& out);
/// The same of a word; `what` is "optimizer NAME: OPTION".
template <class Enum>
void parse_word(const std::string& what, const std::string& text, Enum& out) {
  const auto& words = kWords<Enum>;
  const auto at = std::find(words.begin(), words.end(), text);
  if (at == words.end())
    throw UsageError(fmt::format("{} = '{}', expected {}", what, shown(text), list_of_words<Enum>()));
  out = static_cast<Enum>(at - words.begin());
}
/// One of the enums of choices.hpp.
template <class Value>
inline constexpr bool kIsWord = std::is_enum_v<Value> && !std::is_same_v<Value, Curvature>;

template <class Value>
std::string text_of(const Value& value) {
  if constexpr (kIsWord<Value>)
    return word_of(value);
  else if constexpr (std::is_same_v<Value, Curvature>)
    return name_of(value);
  else
    return fmt::format("{}", value);
}
/// With the words that the option may have.
template <class Value>
std::string full_help(const Value&, const char* help) {
  if constexpr (kIsWord<Value>)
    return *help == 0 ? list_of_words<Value>() : fmt::format("{}; {}", list_of_words<Value>(), help);
  else
    return help;
}

template <class Options, class Visit>
void fields_of_rate(Options& o, Visit&& visit) {
  visit("rate", o.rate, "learning rate, above 0");
}

template <class Options>
std::vector<OptionInfo> describe() {
  Options defaults;
  std::vector<OptionInfo> out;
  fields(defaults, [&](const char* name, const auto& value, const char* help) {
    out.push_back({name, text_of(value), full_help(value, help)});
  });
  return out;
}

template <class Options>
Options parse_settings(const std::string& optimizer, const OptimizerSettings& settings) {
  Options options;
  std::vector<std::string> known;
  fields(options, [&](const char* name, auto& value, const char*) {
    known.emplace_back(name);
    const auto at = settings.find(name);
    if (at == settings.end()) return;
    if constexpr (kIsWord<std::remove_cvref_t<decltype(value)>>)
      parse_word(fmt::format("optimizer {}: {}", optimizer, name), at->second, value);
    else
      parse_option(fmt::format("optimizer {}, option {}", optimizer, name), at->second, value);
  });
  for (const auto& [name, value] : settings)
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw UsageError(fmt::format("optimizer {}: unknown option '{}'{}; options: {}", optimizer, name,
                                   did_you_mean(name, known), fmt::join(known, ", ")));
  return options;
}

struct Entry {
  OptimizerInfo info;
  std::function<std::unique_ptr<Optimizer<float>>(const OptimizerSettings&)> make_float;
  std::function<std::unique_ptr<Optimizer<double>>(const OptimizerSettings&)> make_double;
};

template <class Options>
Entry entry(const std::string& name, const std::string& summary,
            std::unique_ptr<Optimizer<float>> (*make_f)(const Options&),
            std::unique_ptr<Optimizer<double>> (*make_d)(const Options&)) {
  return {{name, summary, describe<Options>(), false},
          [=](const OptimizerSettings& s) { return make_f(parse_settings<Options>(name, s)); },
          [=](const OptimizerSettings& s) { return make_d(parse_settings<Options>(name, s)); }};
}

inline Entry networks_alone(Entry e) {
  e.info.needs_network = true;
  return e;
}

std::vector<Entry> gradient_entries();
std::vector<Entry> hso_entries();
std::vector<Entry> quasi_newton_entries();
std::vector<Entry> preconditioned_entries();

}  // namespace hso::detail
