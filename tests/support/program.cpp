// SPDX-License-Identifier: Apache-2.0
#include "support/program.hpp"

#include <gtest/gtest.h>

#include "cli/commands.hpp"

namespace hso::test {

ProgramResult run_program(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv{"hso"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  ProgramResult result;
  result.exit_code = cli::run(static_cast<int>(argv.size()), argv.data());
  result.out = testing::internal::GetCapturedStdout();
  result.err = testing::internal::GetCapturedStderr();
  return result;
}

}  // namespace hso::test
