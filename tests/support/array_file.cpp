// SPDX-License-Identifier: Apache-2.0
#include "support/array_file.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace hso::test {

NamedArrays read_arrays(const std::filesystem::path& index, const std::filesystem::path& data,
                        const std::string& network) {
  std::ifstream text(index), bytes(data, std::ios::binary);
  if (!text || !bytes) throw std::runtime_error("cannot open " + index.string() + " or " + data.string());
  NamedArrays out;
  const auto parsed = nlohmann::json::parse(text);
  for (const auto& [name, entry] : parsed.at(network).at("arrays").items()) {
    std::size_t size = 1;
    for (std::size_t extent : entry.at("shape")) size *= extent;
    std::vector<double> values(size);
    bytes.seekg(static_cast<std::streamoff>(entry.at("offset_doubles").get<std::size_t>() * sizeof(double)));
    bytes.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(size * sizeof(double)));
    if (!bytes) throw std::runtime_error(data.string() + " is too short for " + network + "." + name);
    out.arrays[name] = std::move(values);
  }
  return out;
}

}  // namespace hso::test
