// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "hsogpu/spectrum.hpp"

namespace hso {

/// An estimate as files and --json show it.
inline nlohmann::ordered_json estimate_json(const Estimate& e) {
  return {{"value", e.value},
          {"standard_error", e.standard_error},
          {"interval", {e.low, e.high}},
          {"confidence", e.confidence},
          {"probes", e.probes},
          {"seed", e.seed}};
}

}  // namespace hso
