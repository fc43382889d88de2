// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "hsogpu/error.hpp"
#include "hsogpu/io.hpp"
#include "io/file.hpp"
#include "io/payload.hpp"
#include "io/safetensors_header.hpp"

namespace hso {

namespace {

constexpr std::uint64_t kLargestHeader = 100'000'000;  // the format's own limit

std::uint64_t read_header_length(FileReader& file) {
  if (file.size() < 8)
    throw InputError(
        fmt::format("{}: found {} bytes, expected a safetensors file (8 or more)", file.path(), file.size()));
  std::array<char, 8> bytes{};
  file.read(bytes);
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i)
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  if (length > file.remaining() || length > kLargestHeader)
    throw InputError(fmt::format("{}: found a safetensors header length of {}, expected at most {} (bytes that follow)",
                                 file.path(), length, std::min(file.remaining(), kLargestHeader)));
  return length;
}

void check_tensor(const std::string& path, const NamedTensor& tensor) {
  if (tensor.name == "__metadata__")
    throw InputError(fmt::format("write_safetensors {}: the name '__metadata__' is reserved by the format", path));
  if (tensor.shape.size() != static_cast<Index>(tensor.values.size()))
    throw InputError(fmt::format("write_safetensors {}: tensor '{}' has {} values, expected {} for shape {}", path,
                                 tensor.name, tensor.values.size(), tensor.shape.size(), tensor.shape.to_string()));
  for (double v : tensor.values)
    if (tensor.bytes && !(v >= 0 && v <= 255 && v == std::floor(v)))
      throw InputError(fmt::format("write_safetensors {}: tensor '{}' holds {}, expected whole numbers from 0 to 255",
                                   path, tensor.name, v));
}

struct Stored {
  const char* name;
  std::uint64_t bytes;
};
Stored stored(const NamedTensor& tensor, bool wide) {
  return tensor.bytes ? Stored{"U8", 1} : wide ? Stored{"F64", 8} : Stored{"F32", 4};
}

void write_values(AtomicFile& file, const NamedTensor& tensor, bool wide) {
  if (tensor.bytes)
    write_payload<std::uint8_t>(file, tensor.values);
  else
    wide ? write_payload<double>(file, tensor.values) : write_payload<float>(file, tensor.values);
}

nlohmann::ordered_json describe(const std::string& path, Span<const NamedTensor> tensors, bool wide,
                                const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::uint64_t position = 0;
  for (const NamedTensor& tensor : tensors) {
    check_tensor(path, tensor);
    if (json.contains(tensor.name))
      throw InputError(fmt::format("write_safetensors {}: the name '{}' is there twice", path, tensor.name));
    std::vector<Index> extents;
    for (int a = 0; a < tensor.shape.rank(); ++a) extents.push_back(tensor.shape[a]);
    const auto [type, bytes] = stored(tensor, wide);
    const std::uint64_t end = position + tensor.values.size() * bytes;
    json[tensor.name] = {{"dtype", type}, {"shape", extents}, {"data_offsets", {position, end}}};
    position = end;
  }
  return json;
}

/// The length in 8 bytes, then the JSON, padded with spaces so that the data starts at a multiple of 8.
std::string header_bytes(const std::string& path, const nlohmann::ordered_json& json) {
  std::string text;
  try {
    text = json.dump();
  } catch (const nlohmann::json::type_error&) {
    throw InputError(fmt::format("write_safetensors {}: a name or metadata is not valid UTF-8", path));
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(text.size() >> (8 * i) & 0xff);
  return out + text;
}

}  // namespace

SafeTensors read_safetensors(const std::string& path) {
  FileReader file(path);
  std::string text(read_header_length(file), '\0');
  file.read(text);
  SafeTensorsHeader header = parse_safetensors_header(path, text, file.remaining());
  SafeTensors out;
  out.metadata = std::move(header.metadata);
  for (const TensorEntry& e : header.entries)
    out.tensors[e.name] = {e.shape, read_payload(file, e.type, false, e.shape.size()), e.type.integral()};
  return out;
}

void write_safetensors(const std::string& path, Span<const NamedTensor> tensors, std::string_view precision,
                       const std::map<std::string, std::string>& metadata) {
  if (precision != "float32" && precision != "float64")
    throw UsageError(fmt::format("write_safetensors {}: precision '{}', expected float32 or float64", path, precision));
  const bool wide = precision == "float64";
  const std::string header = header_bytes(path, describe(path, tensors, wide, metadata));
  AtomicFile file(path);
  file.write(header);
  for (const NamedTensor& tensor : tensors) write_values(file, tensor, wide);
  file.commit();
}

}  // namespace hso
