// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "hsogpu/core/state.hpp"
#include "io/shown_text.hpp"
#include "io/text_parts.hpp"
#include "optim/registry.hpp"

namespace hso {

const char* name_of(StepStatus status) {
  switch (status) {
    case StepStatus::accepted:
      return "accepted";
    case StepStatus::rejected:
      return "rejected";
    case StepStatus::not_finite:
      return "not_finite";
    case StepStatus::singular:
      return "singular";
  }
  return "unknown";
}

namespace {

[[noreturn]] void bad_value(const std::string& where, const std::string& text, const char* expected) {
  throw UsageError(fmt::format("{}: '{}', expected {}", where, shown(text), expected));
}

template <class Number>
void parse_number(const std::string& where, const std::string& text, Number& out, const char* expected) {
  const auto number = number_in<Number>(text);
  if (!number) bad_value(where, text, expected);
  out = *number;
}

}  // namespace

void detail::parse_option(const std::string& where, const std::string& text, double& out) {
  parse_number(where, text, out, "a number");
  if (!std::isfinite(out)) bad_value(where, text, "a finite number");
}
void detail::parse_option(const std::string& where, const std::string& text, int& out) {
  parse_number(where, text, out, "a whole number");
}
void detail::parse_option(const std::string& where, const std::string& text, std::uint64_t& out) {
  parse_number(where, text, out, "a whole number from 0");
}
void detail::parse_option(const std::string& where, const std::string& text, bool& out) {
  if (text != "true" && text != "false") bad_value(where, text, "true or false");
  out = text == "true";
}
void detail::parse_option(const std::string&, const std::string& text, Curvature& out) { out = parse_curvature(text); }

namespace {

using detail::Entry;

const std::vector<Entry>& entries() {
  static const std::vector<Entry> table = [] {
    std::vector<Entry> all;
    for (auto* family :
         {detail::gradient_entries, detail::hso_entries, detail::quasi_newton_entries, detail::preconditioned_entries})
      for (Entry& e : family()) all.push_back(std::move(e));
    return all;
  }();
  return table;
}

const Entry& find_entry(const std::string& name) {
  std::vector<std::string> names;
  for (const Entry& e : entries()) {
    if (e.info.name == name) return e;
    names.push_back(e.info.name);
  }
  throw UsageError(fmt::format("optimizer '{}' is unknown{}; expected one of {}", name, did_you_mean(name, names),
                               fmt::join(names, ", ")));
}

}  // namespace

const std::vector<OptimizerInfo>& optimizer_table() {
  static const std::vector<OptimizerInfo> table = [] {
    std::vector<OptimizerInfo> out;
    for (const Entry& e : entries()) out.push_back(e.info);
    return out;
  }();
  return table;
}

template <>
std::unique_ptr<Optimizer<float>> make_optimizer<float>(const std::string& name, const OptimizerSettings& settings) {
  return find_entry(name).make_float(settings);
}
template <>
std::unique_ptr<Optimizer<double>> make_optimizer<double>(const std::string& name, const OptimizerSettings& settings) {
  return find_entry(name).make_double(settings);
}

template <class T>
RawTensors save_state(Optimizer<T>& optimizer) {
  StateWriter writer;
  optimizer.visit_state(writer, nullptr);
  return writer.take();
}

template <class T>
void load_state(Optimizer<T>& optimizer, Objective<T>& coming, const RawTensors& state, const std::string& source) {
  StateReader reader(state, source);
  optimizer.visit_state(reader, &coming);
  reader.require_all_read();
}

template RawTensors save_state(Optimizer<float>&);
template RawTensors save_state(Optimizer<double>&);
template void load_state(Optimizer<float>&, Objective<float>&, const RawTensors&, const std::string&);
template void load_state(Optimizer<double>&, Objective<double>&, const RawTensors&, const std::string&);

}  // namespace hso
