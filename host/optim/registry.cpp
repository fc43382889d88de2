// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <functional>

#include "hsogpu/error.hpp"
#include "io/suggest.hpp"
#include "optim/settings.hpp"

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
  throw UsageError(fmt::format("{}: '{}', expected {}", where, text, expected));
}

template <class Number>
void parse_number(const std::string& where, const std::string& text, Number& out, const char* expected) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, out);
  if (result.ec != std::errc{} || result.ptr != end) bad_value(where, text, expected);
}

void parse(const std::string& where, const std::string& text, double& out) {
  parse_number(where, text, out, "a number");
}
void parse(const std::string& where, const std::string& text, int& out) {
  parse_number(where, text, out, "a whole number");
}
void parse(const std::string& where, const std::string& text, std::uint64_t& out) {
  parse_number(where, text, out, "a whole number from 0");
}
void parse(const std::string& where, const std::string& text, bool& out) {
  if (text != "true" && text != "false") bad_value(where, text, "true or false");
  out = text == "true";
}
void parse(const std::string&, const std::string& text, std::string& out) { out = text; }

template <class Options>
std::vector<OptionInfo> describe() {
  Options defaults;
  std::vector<OptionInfo> out;
  detail::fields(defaults, [&](const char* name, const auto& value, const char* help) {
    out.push_back({name, fmt::format("{}", value), help});
  });
  return out;
}

template <class Options>
Options parse_settings(const std::string& optimizer, const OptimizerSettings& settings) {
  Options options;
  std::vector<std::string> known;
  detail::fields(options, [&](const char* name, auto& value, const char*) {
    known.emplace_back(name);
    if (const auto at = settings.find(name); at != settings.end())
      parse(fmt::format("optimizer {}, option {}", optimizer, name), at->second, value);
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

Entry networks_alone(Entry e) {
  e.info.needs_network = true;
  return e;
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> table{
      entry<SgdOptions>("sgd", "theta -= rate g", make_sgd<float>, make_sgd<double>),
      entry<MomentumOptions>("momentum", "heavy ball: v = momentum v + g, theta -= rate v", make_momentum<float>,
                             make_momentum<double>),
      entry<AdamOptions>("adam", "Adam (Kingma and Ba 2015)", make_adam<float>, make_adam<double>),
      entry<HvpOptions>("hvp", "HVP-corrected gradient: theta -= rate (g + alpha H u)", make_hvp<float>,
                        make_hvp<double>),
      entry<HsoOptions>("hso", "epsilon-modified inverse Hessian: theta -= rate (phi(H)^-1 + eps I) g", make_hso<float>,
                        make_hso<double>),
      entry<HsoLowRankOptions>("hso.lowrank", "the same from the top eigenpairs, eps on the rest",
                               make_hso_lowrank<float>, make_hso_lowrank<double>),
      entry<HsoCgOptions>("hso.cg", "the same by conjugate gradients: theta -= rate ((A + delta I)^-1 + eps I) g",
                          make_hso_cg<float>, make_hso_cg<double>),
      networks_alone(entry<HsoKroneckerOptions>("hso.kfac", "the same in the eigenbasis of Kronecker factors (K-FAC)",
                                                make_hso_kfac<float>, make_hso_kfac<double>)),
      networks_alone(entry<HsoKroneckerOptions>("hso.ekfac", "the same with corrected eigenvalues (EKFAC)",
                                                make_hso_ekfac<float>, make_hso_ekfac<double>)),
  };
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

}  // namespace hso
