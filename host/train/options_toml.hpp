// SPDX-License-Identifier: Apache-2.0
//
// Training options from TOML.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hsogpu/train/train.hpp"

namespace hso {

/// Overwrites what the TOML text sets and returns the keys. InputError with `source` and the line for unknown keys
/// (with a suggestion) and values that do not parse.
std::vector<std::string> apply_toml(TrainOptions& options, std::string_view text, const std::string& source);

}  // namespace hso
