// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/checks.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/data/dataset.hpp"
#include "hsogpu/data/io.hpp"
#include "io/npy_reader.hpp"

namespace hso {

namespace {

/// [N, rest] -> rest.
Shape without_batch(const Shape& shape) {
  std::vector<Index> rest;
  for (int a = 1; a < shape.rank(); ++a) rest.push_back(shape[a]);
  return Shape(Span<const Index>(rest));
}

/// An array and what it is called in messages: the file, or the file and a name in it.
struct Named {
  std::string name;
  Array array;
};

void check_inputs(const Named& x) {
  if (x.array.shape.rank() < 2 || x.array.shape.size() == 0)
    throw InputError(fmt::format("{}: found shape {}, expected [N, ...input shape] with samples in it", x.name,
                                 x.array.shape.to_string()));
}

void check_targets(const Named& y, Index samples) {
  const Shape& shape = y.array.shape;
  if (shape.rank() == 0 || shape[0] != samples)
    throw InputError(
        fmt::format("{}: found shape {}, expected {} rows, one for each sample", y.name, shape.to_string(), samples));
  if (shape.size() == 0)
    throw InputError(fmt::format("{}: found shape {}, expected at least one output", y.name, shape.to_string()));
}

/// The sample of the first row that is not one 1 among zeros; -1: there is none.
Index first_not_one_hot(const std::vector<double>& values, Index width) {
  for (std::size_t begin = 0; begin < values.size(); begin += static_cast<std::size_t>(width)) {
    const auto row = values.begin() + static_cast<std::ptrdiff_t>(begin);
    const bool one = std::count(row, row + width, 1.0) == 1 && std::count(row, row + width, 0.0) == width - 1;
    if (!one) return static_cast<Index>(begin) / width;
  }
  return -1;
}

std::vector<double> from_one_hot(const std::vector<double>& values, Index width) {
  std::vector<double> labels;
  for (auto row = values.begin(); row != values.end(); row += width)
    labels.push_back(static_cast<double>(std::find(row, row + width, 1.0) - row));
  return labels;
}

void take_values(Named& y, Dataset& data) {
  data.target_shape = y.array.shape.rank() == 1 ? Shape{1} : without_batch(y.array.shape);
  data.targets = std::move(y.array.values);
}

void take_labels(Named& y, const DataOptions& options, Dataset& data) {
  const auto fraction = std::find_if(y.array.values.begin(), y.array.values.end(),
                                     [](double label) { return label != std::floor(label); });
  if (fraction != y.array.values.end())
    throw InputError(
        fmt::format("{}: sample {} has label {}, expected a whole number from 0 (classes), or values of "
                    "shape [N, outputs]",
                    y.name, fraction - y.array.values.begin(), *fraction));
  data.targets = std::move(y.array.values);
  set_classes(y.name, options, data);
}

void take_one_hot(Named& y, Index width, const DataOptions& options, Dataset& data) {
  y.array.values = from_one_hot(y.array.values, width);
  data.source.labels += ", one-hot rows";
  take_labels(y, options, data);
  if (options.outputs > 0 && width > options.outputs)
    throw InputError(
        fmt::format("{}: found one-hot rows of {}, but the model has {} outputs", y.name, width, options.outputs));
  data.classes = std::max(data.classes, width);
}

/// A class for each step, -1 for none.
void take_steps(Named& y, const DataOptions& options, Dataset& data) {
  const std::vector<double>& labels = y.array.values;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < -1 || labels[i] != std::floor(labels[i]) || labels[i] >= static_cast<double>(options.outputs))
      throw InputError(
          fmt::format("{}: sample {}, step {} has label {}, expected a whole number from 0 to {} or -1 for none",
                      y.name, static_cast<Index>(i) / options.steps, static_cast<Index>(i) % options.steps, labels[i],
                      options.outputs - 1));
  data.classes = options.outputs;
  data.target_shape = Shape{options.steps};
  data.targets = std::move(y.array.values);
}

void take_targets(Named& y, const DataOptions& options, Dataset& data) {
  const Shape& shape = y.array.shape;
  const Index width = shape.size() / shape[0];
  data.source.labels = y.name;
  if (options.targets == Targets::values) return take_values(y, data);
  if (shape.rank() == 1) return take_labels(y, options, data);
  const bool classes = options.targets == Targets::classes;
  if (classes && options.steps > 0 && shape.rank() == 2 && width == options.steps) return take_steps(y, options, data);
  const Index other = width > 1 ? first_not_one_hot(y.array.values, width) : 0;
  if (width > 1 && other < 0) return take_one_hot(y, width, options, data);
  if (!classes) return take_values(y, data);
  if (width == 1) return take_labels(y, options, data);
  throw InputError(
      fmt::format("{}: found shape {}, whose sample {} is no one-hot row; expected labels [N] or one-hot "
                  "rows [N, classes]",
                  y.name, shape.to_string(), other));
}

Dataset pair_of(Named x, Named y, const DataOptions& options) {
  check_inputs(x);
  const Shape shape = x.array.shape;
  check_targets(y, shape[0]);
  check_finite(x.name, "input", x.array.values, shape.size() / shape[0]);
  check_finite(y.name, "target", y.array.values, y.array.shape.size() / y.array.shape[0]);
  Dataset data{x.name, shape[0], without_batch(shape), std::move(x.array.values), Shape{}, {}, 0};
  data.source.dtype = x.array.dtype;
  take_targets(y, options, data);
  return data;
}

}  // namespace

Dataset read_npy_pair(const std::string& x_path, const std::string& y_path, const DataOptions& options) {
  Named x{x_path, read_npy(x_path)};
  Dataset data = pair_of(std::move(x), {y_path, read_npy(y_path)}, options);
  data.source.format = "npy";
  return data;
}

Dataset read_npz_pair(const std::string& path, const std::string& x_name, const std::string& y_name,
                      const DataOptions& options) {
  const ZipFile archive(path);
  Named x{path + ":" + x_name, read_npz(archive, x_name)};
  Dataset data = pair_of(std::move(x), {path + ":" + y_name, read_npz(archive, y_name)}, options);
  data.name = path;
  data.source.format = "npz";
  return data;
}

}  // namespace hso
