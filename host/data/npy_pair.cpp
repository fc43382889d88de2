// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "data/checks.hpp"
#include "hsogpu/data.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/io.hpp"

namespace hso {

namespace {

/// [N, rest] -> rest.
Shape without_batch(const Shape& shape) {
  std::vector<Index> rest;
  for (int a = 1; a < shape.rank(); ++a) rest.push_back(shape[a]);
  return Shape(Span<const Index>(rest));
}

void check_inputs(const std::string& path, const Array& x) {
  if (x.shape.rank() < 2 || x.shape.size() == 0)
    throw InputError(
        fmt::format("{}: found shape {}, expected [N, ...input shape] with samples in it", path, x.shape.to_string()));
}

void check_targets(const std::string& path, const Array& y, Index samples) {
  if (y.shape.rank() == 0 || y.shape[0] != samples)
    throw InputError(
        fmt::format("{}: found shape {}, expected {} rows, one for each sample", path, y.shape.to_string(), samples));
  if (y.shape.rank() == 1 && !y.integral)
    throw InputError(fmt::format("{}: found {} of a floating type, expected integers (classes) or [N, outputs]", path,
                                 y.shape.to_string()));
  if (y.shape.size() == 0)
    throw InputError(fmt::format("{}: found shape {}, expected at least one output", path, y.shape.to_string()));
}

void set_classes(const std::string& path, Dataset& data) {
  for (std::size_t i = 0; i < data.targets.size(); ++i)
    if (data.targets[i] < 0)
      throw InputError(
          fmt::format("{}: sample {} has label {}, expected a whole number from 0", path, i, data.targets[i]));
  data.classes = count_classes(path, data.targets);
}

}  // namespace

Dataset read_npy_pair(const std::string& x_path, const std::string& y_path) {
  Array x = read_npy(x_path), y = read_npy(y_path);
  check_inputs(x_path, x);
  check_targets(y_path, y, x.shape[0]);
  check_finite(x_path, "input", x.values, x.shape.size() / x.shape[0]);
  check_finite(y_path, "target", y.values, y.shape.size() / y.shape[0]);
  Dataset data{
      x_path, x.shape[0], without_batch(x.shape), std::move(x.values), without_batch(y.shape), std::move(y.values), 0};
  if (y.shape.rank() == 1) set_classes(y_path, data);
  return data;
}

}  // namespace hso
