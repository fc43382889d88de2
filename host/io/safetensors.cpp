// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/file.hpp"
#include "io/payload.hpp"
#include "io/safetensors_header.hpp"

namespace hso {

namespace {

void check_tensor(const std::string& path, const NamedTensor& tensor) {
  if (tensor.name == "__metadata__")
    throw InputError(fmt::format("write_safetensors {}: the name '__metadata__' is reserved by the format", path));
  if (tensor.shape.size() != static_cast<Index>(tensor.values.size()))
    throw InputError(fmt::format("write_safetensors {}: tensor '{}' has {} values, expected {} for shape {}", path,
                                 tensor.name, tensor.values.size(), tensor.shape.size(), tensor.shape.to_string()));
  const auto is_byte = [](double v) { return v >= 0 && v <= 255 && v == std::floor(v); };
  const auto bad = std::find_if_not(tensor.values.begin(), tensor.values.end(), is_byte);
  if (tensor.dtype == "U8" && bad != tensor.values.end())
    throw InputError(
        fmt::format("write_safetensors {}: tensor '{}' of dtype U8 has the value {}, expected a whole "
                    "number from 0 to 255",
                    path, tensor.name, *bad));
}

/// How numbers of a dtype are stored.
struct Storage {
  std::uint64_t bytes;
  void (*write)(AtomicFile&, Span<const double>);
};

const std::string& dtype_of(const NamedTensor& tensor, const std::string& usual) {
  return tensor.dtype.empty() ? usual : tensor.dtype;
}

Storage storage_of(const std::string& path, const NamedTensor& tensor, const std::string& usual) {
  static const std::map<std::string, Storage> kStorage = {{"F32", {4, write_payload<float, double>}},
                                                          {"F64", {8, write_payload<double, double>}},
                                                          {"U8", {1, write_payload<std::uint8_t, double>}}};
  const auto at = kStorage.find(dtype_of(tensor, usual));
  if (at == kStorage.end())
    throw UsageError(fmt::format("write_safetensors {}: tensor '{}' has dtype '{}', expected F32, F64 or U8", path,
                                 tensor.name, tensor.dtype));
  return at->second;
}

nlohmann::ordered_json describe(const std::string& path, Span<const NamedTensor> tensors, const std::string& usual,
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
    const std::uint64_t end = position + tensor.values.size() * storage_of(path, tensor, usual).bytes;
    json[tensor.name] = {{"dtype", dtype_of(tensor, usual)}, {"shape", extents}, {"data_offsets", {position, end}}};
    position = end;
  }
  return json;
}

}  // namespace

SafeTensors read_safetensors(const std::string& path) {
  FileReader file(path);
  SafeTensorsHeader header = read_safetensors_header(file);
  SafeTensors out;
  out.metadata = std::move(header.metadata);
  for (const TensorEntry& e : header.entries) {
    if (!e.type) {
      out.unread[e.name] = e.dtype;
      file.skip(e.end - e.begin);
      continue;
    }
    out.tensors[e.name] = {e.shape, read_payload(file, *e.type, false, e.shape.size()), e.type->integral()};
  }
  return out;
}

void write_safetensors(const std::string& path, Span<const NamedTensor> tensors, std::string_view precision,
                       const std::map<std::string, std::string>& metadata) {
  if (precision != "float32" && precision != "float64")
    throw UsageError(fmt::format("write_safetensors {}: precision '{}', expected float32 or float64", path, precision));
  const std::string usual = precision == "float64" ? "F64" : "F32";
  const std::string header = safetensors_header_bytes(path, describe(path, tensors, usual, metadata));
  AtomicFile file(path);
  file.write(header);
  for (const NamedTensor& tensor : tensors) storage_of(path, tensor, usual).write(file, tensor.values);
  file.commit();
}

}  // namespace hso
