// SPDX-License-Identifier: Apache-2.0
//
// Data sets too large for the project (MNIST), in a folder that is not part of it. Tests that need one skip where it is
// not; all other data lies in tests/data (test_file.hpp).
//   const auto folder = reference_data("mnist");
//   if (folder.empty()) GTEST_SKIP() << "no MNIST: set HSO_REFERENCE_DATA";
#pragma once

#include <filesystem>

namespace hso::test {

/// `name` inside $HSO_REFERENCE_DATA, or else inside <source folder>/../shared/data; empty when it is not there.
std::filesystem::path reference_data(const char* name);

}  // namespace hso::test
