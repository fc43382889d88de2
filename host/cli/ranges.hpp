// SPDX-License-Identifier: Apache-2.0
//
// Ranges of numbers on the command line, checked before anything is read. CLI11 puts the flag before the message:
// "--probes: found '1', expected a whole number from 2 to 1000000000".
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "hsogpu/error.hpp"
#include "hsogpu/types.hpp"

namespace hso::cli {

/// A billion is above any number that makes sense, and products of two of them do not overflow.
CLI::Validator whole_number(Index least, Index most = 1'000'000'000);

/// A finite number of at least 0, or above 0.
CLI::Validator number_from_zero();
CLI::Validator number_above_zero();

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
