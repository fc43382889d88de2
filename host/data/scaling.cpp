// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/dataset.hpp"
#include "io/shown_text.hpp"
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

/// For each of `groups` interleaved columns a power of two near its largest magnitude, whose inverse is finite too.
std::vector<double> magnitudes(const std::vector<double>& values, std::size_t groups) {
  constexpr int kMost = 1000;
  std::vector<double> out(groups, 0.0);
  for (std::size_t begin = 0; begin < values.size(); begin += groups)
    for (std::size_t j = 0; j < groups; ++j) out[j] = std::max(out[j], std::abs(values[begin + j]));
  for (double& largest : out) {
    int power = 0;
    std::frexp(largest, &power);
    largest = std::ldexp(1.0, std::clamp(power, -kMost, kMost));
  }
  return out;
}

/// Mean and population standard deviation of each of `groups` interleaved columns: value i belongs to i % groups.
/// Squares are taken of numbers near 1, so that none overflows or vanishes; powers of two round nothing.
Standardizer fit_columns(const std::vector<double>& values, std::size_t groups) {
  Standardizer out{std::vector<double>(groups, 0.0), std::vector<double>(groups, 0.0)};
  const double rows = static_cast<double>(values.size() / groups);
  const std::vector<double> unit = magnitudes(values, groups);
  std::vector<char> varies(groups, 0);
  for (std::size_t begin = 0; begin < values.size(); begin += groups)
    for (std::size_t j = 0; j < groups; ++j) out.mean[j] += values[begin + j] / unit[j] / rows;
  for (std::size_t begin = 0; begin < values.size(); begin += groups)
    for (std::size_t j = 0; j < groups; ++j) {
      const double deviation = values[begin + j] / unit[j] - out.mean[j];
      out.scale[j] += deviation * deviation / rows;
      varies[j] |= values[begin + j] != values[j];
    }
  // Rounding leaves a constant column a tiny deviation: it must not be divided by that.
  for (std::size_t j = 0; j < groups; ++j) {
    const bool divides = varies[j] != 0 && out.scale[j] > 0;
    out.mean[j] = varies[j] == 0 ? values[j] : out.mean[j] * unit[j];
    out.scale[j] = divides ? std::sqrt(out.scale[j]) * unit[j] : 1.0;
  }
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
      const double scaled = (value - mean[j]) / scale[j];
      if (!std::isfinite(scaled))
        throw InputError(fmt::format(
            "data set {}: sample {}, input {}: {} becomes {} when it is scaled, expected inputs that stay finite",
            data.name, (begin + j) / features, (begin + j) % features, value, unsigned_nan(scaled)));
      value = scaled;
    }
}

}  // namespace hso
