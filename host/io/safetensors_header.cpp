// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <tuple>

#include "hsogpu/core/error.hpp"
#include "io/json_text.hpp"
#include "io/payload.hpp"
#include "io/shown_text.hpp"

namespace hso {

namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw InputError(fmt::format("{}: safetensors header: {}", path, message));
}

std::optional<ScalarType> type_of(const std::string& dtype) {
  using Kind = ScalarType::Kind;
  static const std::map<std::string, ScalarType> kTypes = {
      {"F64", {Kind::floating, 8}},         {"F32", {Kind::floating, 4}},         {"F16", {Kind::floating, 2}},
      {"BF16", {Kind::brain_floating, 2}},  {"I64", {Kind::signed_integer, 8}},   {"I32", {Kind::signed_integer, 4}},
      {"I16", {Kind::signed_integer, 2}},   {"I8", {Kind::signed_integer, 1}},    {"U64", {Kind::unsigned_integer, 8}},
      {"U32", {Kind::unsigned_integer, 4}}, {"U16", {Kind::unsigned_integer, 2}}, {"U8", {Kind::unsigned_integer, 1}},
      {"BOOL", {Kind::boolean, 1}}};
  const auto it = kTypes.find(dtype);
  return it == kTypes.end() ? std::nullopt : std::optional(it->second);
}

std::vector<Index> parse_sizes(const std::string& path, const std::string& what, const Json& list) {
  const auto is_size = [](const Json& v) { return v.is_number_unsigned() && v.get<std::uint64_t>() >> 63 == 0; };
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_size))
    fail(path, fmt::format("{} is {}, expected a list of whole numbers from 0", what, shown(list.dump())));
  return list.get<std::vector<Index>>();
}

Shape parse_shape(const std::string& path, const std::string& name, const Json& list) {
  const auto extents = parse_sizes(path, fmt::format("the shape of tensor '{}'", shown(name)), list);
  if (extents.size() > Shape::kMaxRank)
    fail(path,
         fmt::format("tensor '{}' has rank {}, expected at most {}", shown(name), extents.size(), Shape::kMaxRank));
  return Shape(Span<const Index>(extents));
}

TensorEntry parse_entry(const std::string& path, const std::string& name, const Json& json) {
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") || !json.contains("data_offsets"))
    fail(path,
         fmt::format("tensor '{}' is {}, expected dtype, shape and data_offsets", shown(name), shown(json.dump())));
  if (!json["dtype"].is_string())
    fail(path, fmt::format("tensor '{}' has dtype {}, expected a string such as \"F32\"", shown(name),
                           shown(json["dtype"].dump())));
  TensorEntry entry{name, json["dtype"].get<std::string>(), std::nullopt, {}};
  entry.type = type_of(entry.dtype);
  const auto offsets = parse_sizes(path, fmt::format("data_offsets of tensor '{}'", shown(name)), json["data_offsets"]);
  if (offsets.size() != 2 || offsets[0] > offsets[1])
    fail(path, fmt::format("data_offsets of tensor '{}' are {}, expected [begin, end]", shown(name),
                           shown(json["data_offsets"].dump())));
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  if (!entry.type) return entry;
  entry.shape = parse_shape(path, name, json["shape"]);
  const std::uint64_t bytes =
      payload_bytes(path, fmt::format("tensor '{}'", shown(name)), entry.shape, entry.type->bytes);
  if (entry.end - entry.begin != bytes)
    fail(path, fmt::format("tensor '{}' spans {} bytes, expected {} for shape {} of {}-byte numbers", shown(name),
                           entry.end - entry.begin, bytes, entry.shape.to_string(), entry.type->bytes));
  return entry;
}

std::map<std::string, std::string> parse_metadata(const std::string& path, const Json& json) {
  if (!json.is_object() || !std::all_of(json.begin(), json.end(), [](const Json& v) { return v.is_string(); }))
    fail(path, "__metadata__ is not an object of strings");
  return json.get<std::map<std::string, std::string>>();
}

void check_tiling(const std::string& path, const std::vector<TensorEntry>& entries, std::uint64_t data_bytes) {
  std::uint64_t position = 0;
  for (const TensorEntry& e : entries) {
    if (e.begin != position)
      fail(path,
           fmt::format("tensor '{}' starts at byte {} of the data, expected {}: {}", shown(e.name), e.begin, position,
                       e.begin < position ? "it overlaps the one before" : "there is a hole before it"));
    position = e.end;
  }
  if (position != data_bytes)
    throw InputError(fmt::format("{}: found {} bytes of data, expected {} by the header", path, data_bytes, position));
}

}  // namespace

SafeTensorsHeader parse_safetensors_header(const std::string& path, std::string_view text, std::uint64_t data_bytes) {
  const Json json = parse_json_text(text, path + ": safetensors header");
  if (!json.is_object()) fail(path, "expected a JSON object");
  SafeTensorsHeader header;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__")
      header.metadata = parse_metadata(path, value);
    else
      header.entries.push_back(parse_entry(path, name, value));
  }
  std::sort(header.entries.begin(), header.entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_tiling(path, header.entries, data_bytes);
  return header;
}

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

}  // namespace

SafeTensorsHeader read_safetensors_header(FileReader& file) {
  std::string text(read_header_length(file), '\0');
  file.read(text);
  return parse_safetensors_header(file.path(), text, file.remaining());
}

std::string safetensors_header_bytes(const std::string& path, const nlohmann::ordered_json& json) {
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

}  // namespace hso
