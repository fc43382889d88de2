// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "data/description.hpp"
#include "io/shown_text.hpp"

namespace hso {

namespace {

constexpr std::size_t kListed = 8;

std::vector<Index> counts_of(const Dataset& data, Index classes) {
  std::vector<Index> out(static_cast<std::size_t>(classes), 0);
  if (data.classes > 0)
    for (const double label : data.targets)
      if (label >= 0) ++out[static_cast<std::size_t>(label)];
  return out;
}

/// Flat positions of the inputs that have one value in all samples of both parts.
std::vector<Index> constant_inputs(const DataSplit& split) {
  const auto width = static_cast<std::size_t>(split.train.input_shape.size());
  const std::vector<double>& first = split.train.inputs;
  std::vector<char> varies(width, 0);
  for (const Dataset* part : {&split.train, &split.test})
    for (std::size_t begin = 0; begin + width <= part->inputs.size(); begin += width)
      for (std::size_t j = 0; j < width; ++j) varies[j] |= part->inputs[begin + j] != first[j];
  std::vector<Index> out;
  for (std::size_t j = 0; j < width; ++j)
    if (varies[j] == 0) out.push_back(static_cast<Index>(j));
  return out;
}

/// Images have borders; of columns each counts.
void note_constant_inputs(const DataSplit& split, DataDescription& d) {
  const std::vector<Index> constant = constant_inputs(split);
  const Index width = d.input_shape.size();
  if (d.rows + d.test_rows < 2 || constant.empty()) return;
  if (static_cast<Index>(constant.size()) == width) {
    d.source.notes.emplace_back("all samples have the same inputs");
  } else if (d.input_shape.rank() == 1) {
    std::vector<std::string> names;
    for (const Index j : constant) names.push_back(input_name(d.source, j));
    d.source.notes.push_back(
        fmt::format("{} of {} inputs never change: {}", constant.size(), width, listed(names, kListed)));
  }
}

void note_classes(DataDescription& d) {
  std::vector<std::string> empty, untrained, seen;
  for (std::size_t c = 0; c < d.counts.size(); ++c) {
    const std::string name = class_name(d.source, static_cast<Index>(c));
    const bool tested = d.test_counts[c] > 0;
    if (d.counts[c] == 0 && !tested) empty.push_back(name);
    if (d.counts[c] == 0 && tested) untrained.push_back(name);
    if (d.counts[c] > 0 || tested) seen.push_back(name);
  }
  auto& notes = d.source.notes;
  if (seen.size() == 1)
    notes.push_back(fmt::format("every label is {}: there is nothing to tell apart", seen.front()));
  else if (empty.size() == 1 && empty.front() == "0")
    notes.emplace_back("no label is 0: do the labels run from 1?");
  else if (!empty.empty())
    notes.push_back(
        fmt::format("{} of {} classes have no sample: {}", empty.size(), d.classes, listed(empty, kListed)));
  if (!untrained.empty())
    notes.push_back(fmt::format("classes in the test part alone: {}", listed(untrained, kListed)));
  const Index rows = d.rows + d.test_rows;
  if (d.target_shape.rank() == 0 && rows > 20 && 2 * static_cast<Index>(seen.size()) > rows)
    notes.push_back(fmt::format("{} different labels in {} rows: is that column the label?", seen.size(), rows));
}

}  // namespace

std::string class_name(const DataSource& source, Index c) {
  const auto at = static_cast<std::size_t>(c);
  return at < source.class_names.size() ? source.class_names[at] : fmt::to_string(c);
}

std::string input_name(const DataSource& source, Index j) {
  const auto at = static_cast<std::size_t>(j);
  return at < source.column_names.size() ? fmt::format("'{}'", source.column_names[at]) : fmt::to_string(j);
}

ValueRange range_of(const std::vector<double>& train, const std::vector<double>& test) {
  ValueRange out{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const auto* values : {&train, &test})
    for (const double v : *values) out = {std::min(out.least, v), std::max(out.most, v)};
  return train.empty() && test.empty() ? ValueRange{} : out;
}

DataDescription describe(const std::string& data, const DataSplit& split, bool reconstruct) {
  const Dataset& train = split.train;
  DataDescription d;
  d.data = data;
  d.source = train.source;
  d.rows = train.size;
  d.test_rows = split.test.size;
  d.input_shape = train.input_shape;
  d.target_shape = train.target_shape;
  d.inputs = d.scaled = range_of(train.inputs, split.test.inputs);
  d.reconstruct = reconstruct;
  if (reconstruct) {
    note_constant_inputs(split, d);
    return d;
  }
  d.classes = train.classes;
  if (train.classes > 0) {
    d.counts = counts_of(train, train.classes);
    d.test_counts = counts_of(split.test, train.classes);
    note_classes(d);
  } else {
    d.targets = range_of(train.targets, split.test.targets);
    if (d.targets.least == d.targets.most && d.rows + d.test_rows > 1)
      d.source.notes.push_back(fmt::format("every target is {:g}", d.targets.least));
  }
  note_constant_inputs(split, d);
  return d;
}

}  // namespace hso
