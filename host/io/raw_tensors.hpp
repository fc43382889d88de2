// SPDX-License-Identifier: Apache-2.0
//
// Tensors with every bit kept, as a safetensors file, and what a file can be known by.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "hsogpu/core/state.hpp"

namespace hso {

struct RawFile {
  RawTensors tensors;
  std::map<std::string, std::string> metadata;
};

/// The widest numbers first, so that all are aligned. Errors as of write_safetensors.
void write_raw_tensors(const std::string& path, const RawTensors& tensors,
                       const std::map<std::string, std::string>& metadata);
RawFile read_raw_tensors(const std::string& path);

/// Size and CRC-32 (that of zlib) of a file.
struct FileSum {
  std::uint64_t bytes = 0, crc32 = 0;
  bool operator==(const FileSum&) const = default;
};
FileSum sum_of_file(const std::string& path);

}  // namespace hso
