// SPDX-License-Identifier: Apache-2.0
//
// Named arrays of little-endian float64 beside a JSON index {"network": {"arrays": {"x": {"offset_doubles",
// "shape"}}}}: the format of the fixtures and of the reference networks.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace hso::test {

struct NamedArrays {
  std::map<std::string, std::vector<double>> arrays;
  const std::vector<double>& operator[](const std::string& name) const { return arrays.at(name); }
};

/// All arrays of one network; the files are named as test_file() names them. std::runtime_error where a file is missing
/// or too short.
NamedArrays read_arrays(const std::string& index, const std::string& data, const std::string& network);

}  // namespace hso::test
