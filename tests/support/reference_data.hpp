// SPDX-License-Identifier: Apache-2.0
//
// The optional reference data: a folder that is not part of the project. Tests that need it skip where it is not:
//   const auto folder = reference_data("mnist");
//   if (folder.empty()) GTEST_SKIP() << "no reference data";
#pragma once

#include <filesystem>

namespace hso::test {

/// `name` inside $HSO_REFERENCE_DATA, or else inside <source folder>/../shared/data; empty when it is not there.
std::filesystem::path reference_data(const char* name);

}  // namespace hso::test
