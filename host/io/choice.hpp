// SPDX-License-Identifier: Apache-2.0
//
// Enumerators by their names.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "hsogpu/core/error.hpp"
#include "io/suggest.hpp"

namespace hso {

/// The enumerator whose name this is; names stand in the order of the enum. UsageError lists them.
template <class Enum>
Enum parse_choice(const char* what, const std::string& name, const std::vector<std::string>& names) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end())
    throw UsageError(
        fmt::format("{} '{}'{}: expected one of {}", what, name, did_you_mean(name, names), fmt::join(names, ", ")));
  return static_cast<Enum>(at - names.begin());
}

}  // namespace hso
