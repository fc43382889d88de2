// SPDX-License-Identifier: Apache-2.0
#include "io/raw_tensors.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "hsogpu/core/error.hpp"
#include "io/file.hpp"
#include "io/safetensors_header.hpp"
#include "io/shown_text.hpp"

namespace hso {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;

using Named = std::pair<const std::string, RawTensor>;

int width_of(const std::string& dtype) { return dtype == "BOOL" ? 1 : dtype.ends_with("64") ? 8 : 4; }

std::vector<const Named*> widest_first(const RawTensors& tensors) {
  std::vector<const Named*> order;
  for (const Named& named : tensors) order.push_back(&named);
  std::stable_sort(order.begin(), order.end(), [](const Named* a, const Named* b) {
    return width_of(a->second.dtype) > width_of(b->second.dtype);
  });
  return order;
}

}  // namespace

void write_raw_tensors(const std::string& path, const RawTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::vector<const Named*> order = widest_first(tensors);
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::size_t position = 0;
  for (const Named* named : order) {
    const auto& [name, tensor] = *named;
    std::vector<Index> extents;
    for (int a = 0; a < tensor.shape.rank(); ++a) extents.push_back(tensor.shape[a]);
    const std::size_t end = position + tensor.bytes.size();
    json[name] = {{"dtype", tensor.dtype}, {"shape", extents}, {"data_offsets", {position, end}}};
    position = end;
  }
  AtomicFile file(path);
  std::string together = safetensors_header_bytes(path, json);  // most are a number each
  const auto flush = [&] {
    file.write(together);
    together.clear();
  };
  for (const Named* named : order) {
    const std::string& bytes = named->second.bytes;
    if (together.size() + bytes.size() > kChunk) flush();
    bytes.size() > kChunk ? file.write(bytes) : void(together += bytes);
  }
  flush();
  file.commit();
}

RawFile read_raw_tensors(const std::string& path) {
  FileReader file(path);
  SafeTensorsHeader header = read_safetensors_header(file);
  RawFile out;
  out.metadata = std::move(header.metadata);
  for (const TensorEntry& e : header.entries) {
    if (!e.type)
      throw InputError(fmt::format("{}: tensor {} has dtype {}, expected {}", path, shown(e.name), shown(e.dtype),
                                   kSafeTensorsTypes));
    RawTensor& tensor = out.tensors[e.name];
    tensor = {e.dtype, e.shape, std::string(e.end - e.begin, '\0')};
    file.read(tensor.bytes);
  }
  return out;
}

FileSum sum_of_file(const std::string& path) {
  FileReader file(path);
  std::vector<char> bytes(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kChunk)));
  uLong crc = crc32(0, nullptr, 0);
  while (file.remaining() > 0) {
    const Span<char> part(bytes.data(), static_cast<std::size_t>(std::min<std::uint64_t>(file.remaining(), kChunk)));
    file.read(part);
    crc = crc32(crc, reinterpret_cast<const Bytef*>(part.data()), static_cast<uInt>(part.size()));
  }
  return {file.size(), crc};
}

}  // namespace hso
