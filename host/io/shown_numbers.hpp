// SPDX-License-Identifier: Apache-2.0
//
// Numbers as tables and JSON show them.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace hso {

/// "97.50 %"; "-" for a share that was not measured, negative or NaN.
inline std::string percent(double share) {
  return std::isnan(share) || share < 0 ? "-" : fmt::format("{:.2f} %", 100 * share);
}

/// JSON has neither NaN nor infinity.
inline nlohmann::ordered_json or_null(double v) { return std::isfinite(v) ? nlohmann::ordered_json(v) : nullptr; }
/// Negative: there is none.
inline nlohmann::ordered_json accuracy_or_null(double v) { return v < 0 ? nullptr : or_null(v); }

}  // namespace hso
