// SPDX-License-Identifier: Apache-2.0
#include "support/array_file.hpp"

#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "support/test_file.hpp"

namespace hso::test {

NamedArrays read_arrays(const std::string& index, const std::string& data, const std::string& network) {
  NamedArrays out;
  const std::string bytes = test_file(data);
  const auto parsed = nlohmann::json::parse(test_file(index));
  for (const auto& [name, entry] : parsed.at(network).at("arrays").items()) {
    std::size_t size = 1;
    for (std::size_t extent : entry.at("shape")) size *= extent;
    std::vector<double> values(size);
    const std::size_t first = entry.at("offset_doubles").get<std::size_t>() * sizeof(double);
    if (first + size * sizeof(double) > bytes.size())
      throw std::runtime_error(data + " is too short for " + network + "." + name);
    std::memcpy(values.data(), bytes.data() + first, size * sizeof(double));
    out.arrays[name] = std::move(values);
  }
  return out;
}

}  // namespace hso::test
