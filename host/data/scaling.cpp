// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "hsogpu/data.hpp"
#include "hsogpu/error.hpp"
#include "io/suggest.hpp"

namespace hso {

namespace {

constexpr std::array<std::pair<Scaling, const char*>, 4> kNames = {{{Scaling::none, "none"},
                                                                    {Scaling::unit_range, "unit"},
                                                                    {Scaling::standard, "standard"},
                                                                    {Scaling::per_feature, "per-feature"}}};

double largest_magnitude(const std::vector<double>& values) {
  double largest = 0;
  for (double v : values) largest = std::max(largest, std::abs(v));
  return largest > 0 ? largest : 1;
}

/// Mean and population standard deviation of each of `groups` interleaved columns: value i belongs to i % groups.
Standardizer fit_columns(const std::vector<double>& values, std::size_t groups) {
  Standardizer out{std::vector<double>(groups, 0.0), std::vector<double>(groups, 0.0)};
  const double rows = static_cast<double>(values.size() / groups);
  std::vector<char> varies(groups, 0);
  for (std::size_t begin = 0; begin < values.size(); begin += groups)
    for (std::size_t j = 0; j < groups; ++j) out.mean[j] += values[begin + j] / rows;
  for (std::size_t begin = 0; begin < values.size(); begin += groups)
    for (std::size_t j = 0; j < groups; ++j) {
      const double deviation = values[begin + j] - out.mean[j];
      out.scale[j] += deviation * deviation / rows;
      varies[j] |= values[begin + j] != values[j];
    }
  // Rounding leaves a constant column a tiny deviation: it must not be divided by that.
  for (std::size_t j = 0; j < groups; ++j)
    out.scale[j] = varies[j] != 0 && out.scale[j] > 0 ? std::sqrt(out.scale[j]) : 1.0;
  for (std::size_t j = 0; j < groups; ++j)
    if (varies[j] == 0) out.mean[j] = values[j];
  return out;
}

}  // namespace

Scaling parse_scaling(const std::string& word) {
  std::vector<std::string> known;
  for (const auto& [scaling, name] : kNames) {
    if (word == name) return scaling;
    known.emplace_back(name);
  }
  throw UsageError(fmt::format("scaling: found '{}', expected none, unit, standard or per-feature{}", word,
                               did_you_mean(word, known)));
}

const char* scaling_name(Scaling scaling) {
  for (const auto& [known, name] : kNames)
    if (known == scaling) return name;
  throw UsageError(fmt::format("scaling_name: found {}, expected a value of Scaling", static_cast<int>(scaling)));
}

Standardizer Standardizer::fit(const Dataset& train, Scaling scaling) {
  if (scaling == Scaling::none) return {{0.0}, {1.0}};
  if (train.inputs.empty()) throw InputError(fmt::format("Standardizer: data set {} is empty", train.name));
  if (scaling == Scaling::unit_range) return {{0.0}, {largest_magnitude(train.inputs)}};
  const bool each = scaling == Scaling::per_feature;
  return fit_columns(train.inputs, each ? static_cast<std::size_t>(train.input_shape.size()) : 1);
}

void Standardizer::apply(Dataset& data) const {
  const auto features = static_cast<std::size_t>(data.input_shape.size());
  const std::size_t groups = mean.size();
  if (groups != scale.size() || (groups != 1 && groups != features))
    throw InputError(
        fmt::format("Standardizer: found {} means and {} scales, expected 1 or {} as data set {} has features",
                    mean.size(), scale.size(), features, data.name));
  for (std::size_t begin = 0; begin < data.inputs.size(); begin += groups)
    for (std::size_t j = 0; j < groups; ++j) {
      double& value = data.inputs[begin + j];
      value = (value - mean[j]) / scale[j];
    }
}

}  // namespace hso
