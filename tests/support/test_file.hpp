// SPDX-License-Identifier: Apache-2.0
//
// Files that the tests read, part of the project: tests/data and tests/fixtures. Larger ones are stored compressed.
#pragma once

#include <string>

namespace hso::test {

/// The bytes of tests/NAME, or of tests/NAME.gz unpacked. std::runtime_error where neither can be read.
///   const auto golden = nlohmann::json::parse(test_file("data/golden/mgh_unconstrained.json"));
std::string test_file(const std::string& name);

}  // namespace hso::test
