// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "data/checks.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/data/dataset.hpp"

namespace hso {

namespace {

void check_count(const Dataset& data, const char* what, const std::vector<double>& values, const Shape& shape) {
  const Index expected = checked_multiply(data.size, shape.size());
  if (static_cast<Index>(values.size()) != expected)
    throw InputError(fmt::format("data set {}: found {} {} values, expected {} for {} samples of shape {}", data.name,
                                 values.size(), what, expected, data.size, shape.to_string()));
}

void check_labels(const Dataset& data) {
  if (data.target_shape.rank() > 1)
    throw InputError(fmt::format("data set {}: target shape {} beside {} classes, expected [] or [steps]", data.name,
                                 data.target_shape.to_string(), data.classes));
  const auto steps = static_cast<std::size_t>(data.target_shape.size());
  const bool sequences = data.target_shape.rank() == 1;
  std::size_t counted = 0;
  for (std::size_t i = 0; i < data.targets.size(); ++i) {
    const double label = data.targets[i];
    const bool none = sequences && label == -1;
    if (!none && (label < 0 || label >= static_cast<double>(data.classes) || label != std::floor(label)))
      throw InputError(fmt::format("data set {}: sample {}{} has label {}, expected a whole number from 0 to {}{}",
                                   data.name, i / steps, sequences ? fmt::format(", step {}", i % steps) : "", label,
                                   data.classes - 1, sequences ? ", or -1 for none" : ""));
    counted += none ? 0u : 1u;
    if (i % steps + 1 < steps) continue;
    if (counted == 0)
      throw InputError(
          fmt::format("data set {}: sample {} has the label -1 in all of its {} steps, expected a class in "
                      "one at least",
                      data.name, i / steps, steps));
    counted = 0;
  }
}

void append_rows(const std::vector<double>& from, Index width, Index row, std::vector<double>& to) {
  const auto begin = from.begin() + row * width;
  to.insert(to.end(), begin, begin + width);
}

}  // namespace

void Dataset::validate() const {
  if (size < 0 || classes < 0)
    throw InputError(
        fmt::format("data set {}: found size {} and {} classes, expected none below 0", name, size, classes));
  for (const Shape* shape : {&input_shape, &target_shape})
    if (shape->size() < 1)
      throw InputError(fmt::format("data set {}: found samples of shape {}, expected one number at least", name,
                                   shape->to_string()));
  check_count(*this, "input", inputs, input_shape);
  check_count(*this, "target", targets, target_shape);
  check_finite("data set " + name, "input", inputs, input_shape.size());
  check_finite("data set " + name, "target", targets, target_shape.size());
  if (classes > 0) check_labels(*this);
}

Dataset Dataset::subset(Span<const Index> indices) const {
  Dataset out{name, static_cast<Index>(indices.size()), input_shape, {}, target_shape, {}, classes, source};
  const Index input_width = input_shape.size(), target_width = target_shape.size();
  out.inputs.reserve(indices.size() * static_cast<std::size_t>(input_width));
  out.targets.reserve(indices.size() * static_cast<std::size_t>(target_width));
  for (Index i : indices) {
    if (i < 0 || i >= size)
      throw InputError(fmt::format("data set {}: subset asks for sample {}, expected 0 to {}", name, i, size - 1));
    append_rows(inputs, input_width, i, out.inputs);
    append_rows(targets, target_width, i, out.targets);
  }
  return out;
}

void Dataset::reconstruct() {
  targets = inputs;
  target_shape = input_shape;
  classes = 0;
}

}  // namespace hso
