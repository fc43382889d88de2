// SPDX-License-Identifier: Apache-2.0
//
// What the values of flags mean, beyond what the parser knows.
#pragma once

#include <string>

#include "hsogpu/core/error.hpp"

namespace hso::cli {

/// What parse(value) makes of the flag's value; its UsageError then begins with the flag.
template <class Parse>
auto of_flag(const char* flag, const Parse& parse, const std::string& value) {
  try {
    return parse(value);
  } catch (const UsageError& e) {
    throw UsageError(std::string(flag) + ": " + e.what());
  }
}

}  // namespace hso::cli
