// SPDX-License-Identifier: Apache-2.0
//
// The JSON header of a safetensors file. https://github.com/huggingface/safetensors, "Format":
// 8 bytes little-endian header length, the header, then the data; offsets count from the start of the data and the
// tensors tile it without a hole.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hsogpu/types.hpp"
#include "io/scalar_type.hpp"

namespace hso {

struct TensorEntry {
  std::string name;
  ScalarType type;
  Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SafeTensorsHeader {
  std::vector<TensorEntry> entries;  ///< by offset
  std::map<std::string, std::string> metadata;
};

/// Parses and checks types, shapes against bytes, and that the entries tile [0, data_bytes). InputError starts with
/// `path`.
SafeTensorsHeader parse_safetensors_header(const std::string& path, std::string_view text, std::uint64_t data_bytes);

}  // namespace hso
