// SPDX-License-Identifier: Apache-2.0
#include "data/csv_labels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/checks.hpp"
#include "data/csv_text.hpp"
#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"

namespace hso {

namespace {

constexpr double kLargestLabel = 0x1p31;
}  // namespace

CsvLabels::Kind CsvLabels::kind_by(const DataOptions& options) {
  if (options.targets == Targets::values) return Kind::values;
  if (!options.class_names) return Kind::unknown;
  return options.class_names->empty() ? Kind::numbers : Kind::known_names;
}

CsvLabels::CsvLabels(const std::string& path, const DataOptions& options)
    : path_(path), options_(options), kind_(kind_by(options)) {
  if (kind_ != Kind::known_names) return;
  for (const std::string& name : *options.class_names) names_.emplace(name, static_cast<Index>(names_.size()));
}

void CsvLabels::fail(const std::string& place, std::string_view field, const std::string& expected) const {
  const std::string from = count() == 0 ? fmt::format("; {} is taken for the label", column_) : std::string();
  throw InputError(
      fmt::format("{}: {}: found the label '{}', expected {}{}", path_, place, shown(field, 40), expected, from));
}

void CsvLabels::add(std::string_view field, const std::string& place) {
  double ignored = 0;
  if (is_decimal_comma(field))
    fail(place, field, "a number with a decimal point (decimal commas are not read) or a name");
  if (field.empty()) fail(place, field, "a whole number from 0 or a name");
  if (kind_ == Kind::unknown) kind_ = parse_csv_number(field, ignored) ? Kind::numbers : Kind::names;
  if (kind_ == Kind::numbers || kind_ == Kind::values)
    add_number(field, place);
  else
    add_name(field, place);
}

void CsvLabels::add_number(std::string_view field, const std::string& place) {
  double label = 0;
  const bool number = parse_csv_number(field, label);
  if (kind_ == Kind::values && !number) fail(place, field, "a finite number: the loss takes values");
  if (kind_ == Kind::numbers && (!number || label < 0 || label != std::floor(label) || label > kLargestLabel))
    fail(place, field,
         fmt::format("a whole number from 0{}", number        ? ""
                                                : count() > 0 ? " as above"
                                                              : " as in the training data"));
  const bool beyond = kind_ == Kind::numbers && options_.outputs > 0 && label >= static_cast<double>(options_.outputs);
  if (beyond && first_beyond_.empty()) {
    first_beyond_ = place;
    beyond_ = label;
  }
  targets_.push_back(label);
}

void CsvLabels::add_name(std::string_view field, const std::string& place) {
  auto at = names_.find(field);
  if (at == names_.end()) {
    if (kind_ == Kind::known_names)
      fail(place, field, fmt::format("one of {} as in the training data", listed(*options_.class_names)));
    at = names_.emplace(std::string(field), static_cast<Index>(names_.size())).first;
  }
  targets_.push_back(static_cast<double>(at->second));
}

/// From the order in which they came to the sorted one.
void CsvLabels::sort_names(Dataset& data) {
  std::vector<double> place(names_.size());
  for (const auto& [name, index] : names_) {
    place[static_cast<std::size_t>(index)] = static_cast<double>(data.source.class_names.size());
    data.source.class_names.push_back(name);
  }
  for (double& label : targets_) label = place[static_cast<std::size_t>(label)];
}

void CsvLabels::finish(Dataset& data, const std::string& hint) {
  const Index outputs = options_.outputs;
  if (kind_ == Kind::names) {
    sort_names(data);
    if (outputs > 0 && static_cast<Index>(names_.size()) > outputs)
      throw InputError(
          fmt::format("{}: {}: found {} different labels ({}), expected at most {} as the model has {} "
                      "outputs",
                      path_, data.source.labels, names_.size(), listed(data.source.class_names), outputs, outputs));
    std::size_t numbers = 0;
    double ignored = 0;
    for (const std::string& name : data.source.class_names) numbers += parse_csv_number(name, ignored) ? 1u : 0u;
    if (numbers > 0)
      data.source.notes.push_back(
          fmt::format("{} of the {} labels look like numbers and are taken as names, as the "
                      "first label is one",
                      numbers, names_.size()));
  }
  if (kind_ == Kind::known_names) data.source.class_names = *options_.class_names;
  if (!first_beyond_.empty())
    throw InputError(label_beyond(path_ + ": " + first_beyond_, beyond_, outputs, targets_) + hint);
  if (kind_ == Kind::values)
    data.target_shape = Shape{1};
  else if (kind_ == Kind::numbers)
    data.classes = count_classes(path_, targets_);
  else
    data.classes = static_cast<Index>(names_.size());
  data.targets = std::move(targets_);
}

}  // namespace hso
