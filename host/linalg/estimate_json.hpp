// SPDX-License-Identifier: Apache-2.0
//
// A stochastic estimate as JSON, the same in every result.
#pragma once

#include <nlohmann/json.hpp>

#include "hsogpu/linalg/spectrum.hpp"

namespace hso {

/// An estimate as files and --json show it; an infinite end of the interval becomes null.
inline nlohmann::ordered_json estimate_json(const Estimate& e) {
  return {{"value", e.value},
          {"standard_error", e.standard_error},
          {"interval", {e.low, e.high}},
          {"confidence", e.confidence},
          {"quadrature_error", e.quadrature_error},
          {"quadrature_bounded", e.quadrature_bounded},
          {"rounding_error", e.rounding_error},
          {"probes", e.probes},
          {"seed", e.seed}};
}

}  // namespace hso
