// SPDX-License-Identifier: Apache-2.0
//
// The program called inside the process of the tests.
#pragma once

#include <string>
#include <vector>

namespace hso::test {

struct ProgramResult {
  int exit_code = 0;
  std::string out, err;
};

/// hso with these arguments, in this process.
ProgramResult run_program(const std::vector<std::string>& arguments);

}  // namespace hso::test
