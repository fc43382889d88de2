// SPDX-License-Identifier: Apache-2.0
//
// Options that another option makes meaningless are refused: who gives one expects that it does something.
#pragma once

#include <initializer_list>

#include "cli/command.hpp"

namespace hso::cli {

/// `flag` does something only while `applies`; `expected` says what it needs, as "--method slq".
struct Applies {
  const char* flag;
  bool applies;
  const char* expected;
};

/// UsageError for the first flag that was given and does not apply.
void require_applicable(const Command& command, std::initializer_list<Applies> options);

}  // namespace hso::cli
