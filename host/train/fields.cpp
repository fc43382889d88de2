// SPDX-License-Identifier: Apache-2.0
#include "train/fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "io/shown_text.hpp"
#include "io/suggest.hpp"
#include "io/text_parts.hpp"
#include "io/utf8.hpp"

namespace hso {
namespace {

template <class Number>
bool parse_number(const std::string& text, Number& out) {
  const auto number = number_in<Number>(text);
  if (number) out = *number;
  return number.has_value();
}

bool parse(const std::string& text, std::string& out) {
  out = text;
  return !text.empty();
}
bool parse(const std::string& text, Index& out) { return parse_number(text, out) && out >= 0; }
bool parse(const std::string& text, std::uint64_t& out) {
  return parse_number(text, out) && out <= static_cast<std::uint64_t>(INT64_MAX);  // TOML has no larger integers
}
bool parse(const std::string& text, double& out) { return parse_number(text, out) && std::isfinite(out) && out >= 0; }
bool parse(const std::string& text, bool& out) {
  out = text == "true" || text == "1";
  return out || text == "false" || text == "0";
}
bool parse(const std::string& text, LossKind& out) {
  out = parse_loss(text);
  return true;
}
bool parse(const std::string& text, Scaling& out) {
  out = parse_scaling(text);
  return true;
}
bool parse(const std::string& text, Initialization& out) {
  out = parse_initialization(text);
  return true;
}
/// Joined by commas. make_wrapped says what is wrong with one.
bool parse(const std::string& text, std::vector<std::string>& out) {
  out = text.empty() ? std::vector<std::string>() : split_text(text, ',');
  make_wrapped<double>(make_optimizer<double>("sgd"), out);
  return true;
}

const char* expected(const std::string&) { return "a word"; }
const char* expected(Index) { return "a whole number, at least 0"; }
const char* expected(std::uint64_t) { return "a whole number from 0 to 2^63 - 1"; }
const char* expected(double) { return "a finite number, at least 0"; }
const char* expected(bool) { return "true or false"; }
const char* expected(const std::vector<std::string>&) { return "wrappers"; }
template <class Enum>
const char* expected(Enum) {
  return "a known word";
}

std::string text_of(const std::string& value) { return value; }
std::string text_of(const std::vector<std::string>& value) { return fmt::format("{}", fmt::join(value, ",")); }
std::string text_of(LossKind value) { return name_of(value); }
std::string text_of(Scaling value) { return scaling_name(value); }
std::string text_of(Initialization value) { return name_of(value); }
template <class Number>
std::string text_of(Number value) {
  return fmt::format("{}", value);
}

const OptimizerInfo& find_optimizer(const std::string& name, const std::string& origin) {
  std::vector<std::string> names;
  for (const OptimizerInfo& info : optimizer_table()) {
    if (info.name == name) return info;
    names.push_back(info.name);
  }
  throw UsageError(fmt::format("{}: found '{}'{}, expected one of {}", origin, shown(name), did_you_mean(name, names),
                               fmt::join(names, ", ")));
}

}  // namespace

std::string TrainField::flag() const {
  std::string name = "--" + key;
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string TrainField::variable() const {
  std::string name = "HSO_" + key;
  for (char& c : name)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return name;
}

const TrainField* find_train_field(const std::string& key) {
  const auto& fields = train_fields();
  const auto at = std::find_if(fields.begin(), fields.end(), [&](const TrainField& f) { return f.key == key; });
  return at == fields.end() ? nullptr : &*at;
}

std::string field_text(const TrainOptions& options, const TrainField& field) {
  return std::visit([&](auto member) { return text_of(options.*member); }, field.member);
}

void set_field(TrainOptions& options, const TrainField& field, const std::string& text, const std::string& origin) {
  if (field.key == "optimizer" && text != options.optimizer) {
    find_optimizer(text, origin);
    options.optimizer_settings.clear();
  }
  std::visit(
      [&](auto member) {
        auto value = options.*member;
        try {
          if (field.optional && text.empty())
            value = {};
          else if (!parse(text, value))
            throw UsageError(fmt::format("found '{}', expected {}", shown(text), expected(value)));
          if constexpr (std::is_same_v<decltype(value), double>) {
            if (value > field.most || (field.below && value == field.most))
              throw UsageError(fmt::format("found '{}', expected a number from 0 to {}{}", shown(text),
                                           field.below ? "below " : "", field.most));
          }
        } catch (const UsageError& e) {
          throw UsageError(fmt::format("{}: {}", origin, e.what()));
        }
        options.*member = value;
      },
      field.member);
}

void set_optimizer_option(TrainOptions& options, const std::string& name, const std::string& text,
                          const std::string& origin) {
  std::vector<std::string> names;
  for (const OptionInfo& option : find_optimizer(options.optimizer, origin).options) names.push_back(option.name);
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw UsageError(fmt::format("{}: optimizer {} has no option '{}'{}, expected one of {}", origin, options.optimizer,
                                 name, did_you_mean(name, names), fmt::join(names, ", ")));
  options.optimizer_settings[name] = text;
}

void check_train_options(const TrainOptions& options) {
  make_optimizer<double>(options.optimizer, options.optimizer_settings);
  const bool sees_network =
      options.optimizer == "kfac" || options.optimizer == "ekfac" || options.optimizer == "sophia";
  if (sees_network && options.curvature_batch > 0)
    throw UsageError(
        fmt::format("optimizer {}: a curvature_batch hides the network whose layers it reads; use its own refresh "
                    "options",
                    options.optimizer));
  if (options.precision != "float32" && options.precision != "float64")
    throw UsageError(fmt::format("precision: found '{}', expected float32 or float64", options.precision));
  if (options.reconstruct && options.loss == LossKind::cross_entropy)
    throw UsageError("reconstruct: cross_entropy has classes for targets, expected the loss squared_error or bce");
  if (options.reconstruct && options.target_accuracy > 0)
    throw UsageError("target_accuracy: there is no accuracy where inputs are the targets (reconstruct)");
  parse_curvature(options.spectrum_kind);
  parse_csv_header(options.header);
  parse_csv_separator(options.separator);
  if (options.spectrum_every > 0 && options.run_directory.empty())
    throw UsageError("spectrum_every: spectra are written to the run directory, and there is none");
  TrainOptions copy;
  for (const TrainField& field : train_fields()) {
    const std::string text = field_text(options, field);
    if (!options.run_directory.empty() && !is_utf8(text))
      throw UsageError(
          fmt::format("{}: found '{}', expected UTF-8, as the run's config.toml is", field.key, shown(text)));
    if (field.key != "optimizer") set_field(copy, field, text, field.key);
  }
}

}  // namespace hso
