// SPDX-License-Identifier: Apache-2.0
#include "data/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"

namespace hso {

Index count_classes(const std::string& source, Span<const double> targets) {
  if (targets.empty()) return 0;
  const auto largest = std::max_element(targets.begin(), targets.end());
  const double classes = *largest + 1;
  const std::set<double> present(targets.begin(), targets.end());
  const bool could_be_full = static_cast<double>(targets.size()) >= classes;
  if ((could_be_full && 2 * static_cast<double>(present.size()) < classes) || classes > 0x1p31)
    throw InputError(
        fmt::format("{}: sample {} has label {}, but only {} different labels occur; expected labels 0, 1, 2, ...",
                    source, largest - targets.begin(), *largest, present.size()));
  return static_cast<Index>(classes);
}

void check_labels(const std::string& source, Span<const double> targets, Index outputs) {
  for (std::size_t i = 0; i < targets.size(); ++i)
    if (targets[i] < 0 || targets[i] != std::floor(targets[i]))
      throw InputError(
          fmt::format("{}: sample {} has label {}, expected a whole number from 0", source, i, targets[i]));
  if (outputs == 0) return;
  for (std::size_t i = 0; i < targets.size(); ++i)
    if (targets[i] >= static_cast<double>(outputs))
      throw InputError(label_beyond(fmt::format("{}: sample {}", source, i), targets[i], outputs, targets));
}

std::string label_beyond(const std::string& place, double label, Index outputs, Span<const double> targets) {
  const auto [least, most] = std::minmax_element(targets.begin(), targets.end());
  const bool from_one = *least == 1 && *most == static_cast<double>(outputs);
  return fmt::format("{} has label {}, expected 0 to {} as the model has {} output{}{}", place, label, outputs - 1,
                     outputs, outputs > 1 ? "s" : "", from_one ? " (the labels run from 1: subtract 1)" : "");
}

void set_classes(const std::string& source, const DataOptions& options, Dataset& data) {
  check_labels(source, data.targets, options.outputs);
  data.classes = count_classes(source, data.targets);
  if (!options.class_names || options.class_names->empty()) return;
  const auto known = static_cast<Index>(options.class_names->size());
  if (data.classes > known)
    throw InputError(fmt::format("{}: found labels up to {}, expected 0 to {} for the {} classes of the training data",
                                 source, data.classes - 1, known - 1, known));
  data.classes = known;
  data.source.class_names = *options.class_names;
}

void check_finite(const std::string& source, const char* what, Span<const double> values, Index width) {
  const auto bad = std::find_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); });
  if (bad == values.end()) return;
  const Index at = bad - values.begin();
  throw InputError(fmt::format("{}: sample {}, {} {}: found {}, expected a finite number", source, at / width, what,
                               at % width, unsigned_nan(*bad)));
}

}  // namespace hso
