// SPDX-License-Identifier: Apache-2.0
//
// The table of wrappers, and "NAME:VALUE:VALUE" to an optimizer.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "io/suggest.hpp"
#include "io/text_parts.hpp"
#include "optim/registry.hpp"
#include "optim/wrappers/wrapper.hpp"

namespace hso {
namespace {

using namespace detail;

struct WrapperEntry {
  WrapperInfo info;
  std::function<Wrapped<float>(Wrapped<float>, const Values&)> wrap_float;
  std::function<Wrapped<double>(Wrapped<double>, const Values&)> wrap_double;
};

WrapperEntry scheduled(const char* name, const char* summary, std::vector<OptionInfo> arguments,
                       Schedule (*schedule)(const Values&)) {
  return {
      {name, summary, std::move(arguments)},
      [=](Wrapped<float> inner, const Values& v) { return wrap_schedule<float>(std::move(inner), name, schedule(v)); },
      [=](Wrapped<double> inner, const Values& v) {
        return wrap_schedule<double>(std::move(inner), name, schedule(v));
      }};
}

std::vector<WrapperEntry> make_entries() {
  return {
      {{"momentum", "heavy ball over displacements", {{"momentum", "0.9", "in [0, 1)"}}},
       wrap_momentum<float>,
       wrap_momentum<double>},
      {{"adam",
        "Adam's scaling of the inner direction, whose own rate does not matter",
        {{"rate", "0.003", "above 0"},
         {"beta1", "0.9", "decay of the mean, in [0, 1)"},
         {"beta2", "0.999", "decay of the mean square, in [0, 1)"},
         {"epsilon", "1e-08", "added to the root of the mean square"}}},
       wrap_adam<float>,
       wrap_adam<double>},
      {{"weight_decay", "decoupled: d -= decay theta", {{"decay", "", "in [0, 1)"}}},
       wrap_weight_decay<float>,
       wrap_weight_decay<double>},
      {{"clip", "bounds the norm of the step", {{"norm", "", "above 0"}}}, wrap_clip<float>, wrap_clip<double>},
      {{"clip_gradient", "bounds the norm of the gradient that the inner method sees", {{"norm", "", "above 0"}}},
       wrap_clip_gradient<float>,
       wrap_clip_gradient<double>},
      scheduled("warmup", "a factor that rises to 1", {{"steps", "", "accepted steps"}}, warmup_schedule),
      scheduled("step", "a factor that falls in stairs",
                {{"every", "", "accepted steps"}, {"factor", "0.1", "of a stair, in (0, 1]"}}, step_schedule),
      scheduled("exponential", "a factor that falls with every step", {{"factor", "", "of a step, in (0, 1]"}},
                exponential_schedule),
      scheduled("cosine", "a factor that falls along half a cosine",
                {{"steps", "", "until the floor"}, {"floor", "0", "in [0, 1]"}}, cosine_schedule),
      scheduled("linear", "a factor that falls along a line",
                {{"steps", "", "until the end"}, {"end", "0", "in [0, 1]"}}, linear_schedule),
      scheduled("one_cycle", "a factor that rises along a line and falls along half a cosine",
                {{"steps", "", "of the cycle"},
                 {"warm", "0.3", "share of the steps that it rises, in (0, 1)"},
                 {"start", "0.04", "first factor, in [0, 1]"},
                 {"end", "0", "last factor, in [0, 1]"}},
                one_cycle_schedule),
  };
}

const std::vector<WrapperEntry>& entries() {
  static const std::vector<WrapperEntry> table = make_entries();
  return table;
}

const WrapperEntry& find_entry(const std::string& name) {
  std::vector<std::string> names;
  for (const WrapperEntry& e : entries()) {
    if (e.info.name == name) return e;
    names.push_back(e.info.name);
  }
  throw UsageError(fmt::format("wrapper '{}' is unknown{}; expected one of {}", name, did_you_mean(name, names),
                               fmt::join(names, ", ")));
}

double parse_value(const WrapperInfo& info, std::size_t i, const std::vector<std::string>& given) {
  const OptionInfo& argument = info.arguments[i];
  const std::string& text = i < given.size() ? given[i] : argument.default_value;
  if (i >= given.size() && text.empty())
    throw UsageError(fmt::format("wrapper {}: {} is missing, expected {}", info.name, argument.name, info.grammar()));
  double value = 0;
  parse_option(fmt::format("wrapper {}, {}", info.name, argument.name), text, value);
  if (!std::isfinite(value))
    throw UsageError(fmt::format("wrapper {}, {}: '{}', expected a finite number", info.name, argument.name, text));
  return value;
}

std::pair<const WrapperEntry*, Values> parse(const std::string& text) {
  std::vector<std::string> given = split_text(text, ':');
  const WrapperEntry& entry = find_entry(given.front());
  given.erase(given.begin());
  const auto& arguments = entry.info.arguments;
  if (given.size() > arguments.size())
    throw UsageError(fmt::format("wrapper {}: '{}' has {} values, expected {}", entry.info.name, text, given.size(),
                                 entry.info.grammar()));
  Values values;
  for (std::size_t i = 0; i < arguments.size(); ++i) values.push_back(parse_value(entry.info, i, given));
  return {&entry, values};
}

template <class T, class Member>
Wrapped<T> wrap_all(Wrapped<T> optimizer, const std::vector<std::string>& wrappers, Member member) {
  if (!optimizer) throw UsageError("make_wrapped: the optimizer is null");
  for (const std::string& text : wrappers) {
    const auto [entry, values] = parse(text);
    optimizer = (entry->*member)(std::move(optimizer), values);
  }
  return optimizer;
}

}  // namespace

std::string WrapperInfo::grammar() const {
  std::string required = name, optional, closing;
  for (const OptionInfo& a : arguments) {
    std::string word = a.name;
    std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::toupper(c); });
    if (a.default_value.empty()) {
      required += ":" + word;
    } else {
      optional += "[:" + word;
      closing += "]";
    }
  }
  return required + optional + closing;
}

const std::vector<WrapperInfo>& wrapper_table() {
  static const std::vector<WrapperInfo> table = [] {
    std::vector<WrapperInfo> out;
    for (const WrapperEntry& e : entries()) out.push_back(e.info);
    return out;
  }();
  return table;
}

template <>
std::unique_ptr<Optimizer<float>> make_wrapped<float>(std::unique_ptr<Optimizer<float>> optimizer,
                                                      const std::vector<std::string>& wrappers) {
  return wrap_all<float>(std::move(optimizer), wrappers, &WrapperEntry::wrap_float);
}
template <>
std::unique_ptr<Optimizer<double>> make_wrapped<double>(std::unique_ptr<Optimizer<double>> optimizer,
                                                        const std::vector<std::string>& wrappers) {
  return wrap_all<double>(std::move(optimizer), wrappers, &WrapperEntry::wrap_double);
}

}  // namespace hso
