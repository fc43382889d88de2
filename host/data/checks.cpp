// SPDX-License-Identifier: Apache-2.0
#include "data/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "hsogpu/error.hpp"

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

void check_finite(const std::string& source, const char* what, Span<const double> values, Index width) {
  const auto bad = std::find_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); });
  if (bad == values.end()) return;
  const Index at = bad - values.begin();
  throw InputError(fmt::format("{}: sample {}, {} {}: found {}, expected a finite number", source, at / width, what,
                               at % width, *bad));
}

}  // namespace hso
