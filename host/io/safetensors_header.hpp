// SPDX-License-Identifier: Apache-2.0
//
// The JSON header of a safetensors file. https://github.com/huggingface/safetensors, "Format":
// 8 bytes little-endian header length, the header, then the data; offsets count from the start of the data and the
// tensors tile it without a hole.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hsogpu/core/types.hpp"
#include "io/file.hpp"
#include "io/scalar_type.hpp"

namespace hso {

/// The types that are read, for messages.
inline constexpr const char* kSafeTensorsTypes = "F16, BF16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64 or BOOL";

struct TensorEntry {
  std::string name, dtype;
  std::optional<ScalarType> type;  ///< none: dtype is no type that is read
  Shape shape;                     ///< of one that is read
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
/// Of the file, which is then read up to its data.
SafeTensorsHeader read_safetensors_header(FileReader& file);

/// The length in 8 bytes, then the JSON, padded with spaces so that the data starts at a multiple of 8. InputError,
/// which starts with `path`, for names that are no UTF-8.
std::string safetensors_header_bytes(const std::string& path, const nlohmann::ordered_json& json);

}  // namespace hso
