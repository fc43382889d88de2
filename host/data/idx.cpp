// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "data/checks.hpp"
#include "data/gzip.hpp"
#include "hsogpu/core/error.hpp"
#include "io/scalar_type.hpp"

namespace hso {

namespace {

using Byte = unsigned char;

Index big_endian(const Byte* p) { return Index{p[0]} << 24 | Index{p[1]} << 16 | Index{p[2]} << 8 | Index{p[3]}; }

struct IdxHeader {
  ScalarType type;
  Shape shape;
};

struct IdxFile {
  IdxHeader header;
  std::vector<double> values;
};

/// The third byte of the magic number.
ScalarType idx_type(const GzipReader& file, Byte code, const char* what) {
  using Kind = ScalarType::Kind;
  switch (code) {
    case 0x08:
      return {Kind::unsigned_integer, 1};
    case 0x09:
      return {Kind::signed_integer, 1};
    case 0x0b:
      return {Kind::signed_integer, 2};
    case 0x0c:
      return {Kind::signed_integer, 4};
    case 0x0d:
      return {Kind::floating, 4};
    case 0x0e:
      return {Kind::floating, 8};
    default:
      throw InputError(
          fmt::format("{}: found numbers of type 0x{:02x}, expected 0x08, 0x09, 0x0b, 0x0c, 0x0d or 0x0e (IDX, {})",
                      file.path(), code, what));
  }
}

/// Bytes 0, 0, the type, rank; then each extent in 4 bytes.
IdxHeader read_idx_header(GzipReader& file, int rank, const char* what) {
  std::array<Byte, 4> magic{};
  const std::size_t found = file.read(magic);
  if (found < 4)
    throw InputError(fmt::format("{}: found {} bytes, expected an IDX file of {}", file.path(), found, what));
  if (magic[0] != 0 || magic[1] != 0 || magic[3] != static_cast<Byte>(rank))
    throw InputError(
        fmt::format("{}: found the magic number 0x{:08x}, expected 0x0000080{} or another type than 08 "
                    "(IDX, {})",
                    file.path(), big_endian(magic.data()), rank, what));
  const ScalarType type = idx_type(file, magic[2], what);
  std::array<Byte, 4 * Shape::kMaxRank> extents{};
  const auto length = static_cast<std::size_t>(4 * rank);
  if (file.read(Span<Byte>(extents.data(), length)) < length)
    throw InputError(fmt::format("{}: the IDX header ends early, expected {} extents", file.path(), rank));
  std::array<Index, Shape::kMaxRank> sizes{};
  for (int a = 0; a < rank; ++a) sizes[static_cast<std::size_t>(a)] = big_endian(extents.data() + 4 * a);
  return {type, Shape(Span<const Index>(sizes.data(), static_cast<std::size_t>(rank)))};
}

/// Numbers of `width` bytes that a file can hold, packed as densely as deflate can.
std::size_t most_numbers(const std::string& path, std::size_t width) {
  constexpr std::size_t kDensest = 1032;
  std::error_code unknown;  // as of a pipe
  const auto size = static_cast<std::size_t>(std::filesystem::file_size(path, unknown));
  return unknown ? 0 : size * kDensest / width;
}

/// In steps, so that a header that promises too much costs no memory: what is reserved takes none before it is written.
std::vector<double> read_numbers(GzipReader& file, ScalarType type, std::size_t count) {
  constexpr std::size_t kStep = std::size_t{1} << 20;
  const auto width = static_cast<std::size_t>(type.bytes);
  std::vector<double> out;
  if (count <= most_numbers(file.path(), width)) out.reserve(count);
  std::vector<Byte> bytes(std::min(kStep, count) * width);
  while (out.size() < count) {
    const std::size_t begin = out.size(), step = std::min(kStep, count - begin);
    const std::size_t n = file.read(Span<Byte>(bytes.data(), step * width));
    if (n < step * width)
      throw InputError(
          fmt::format("{}: found {} bytes of data, expected {}", file.path(), begin * width + n, count * width));
    out.resize(begin + step);
    decode_scalars(type, true, Span<const char>(reinterpret_cast<const char*>(bytes.data()), step * width),
                   Span<double>(out.data() + begin, step));
  }
  Byte extra = 0;
  if (file.read(Span<Byte>(&extra, 1)) != 0)
    throw InputError(
        fmt::format("{}: bytes follow the data, expected its end after {} bytes", file.path(), count * width));
  return out;
}

Index idx_count(const std::string& path, const IdxHeader& header) {
  try {
    checked_multiply(header.shape.size(), header.type.bytes);
    return header.shape.size();
  } catch (const InputError&) {
    throw InputError(
        fmt::format("{}: found the extents {}, more than 64 bits can count", path, header.shape.to_string()));
  }
}

IdxFile read_idx_file(const std::string& path, int rank, const char* what) {
  GzipReader file(path);
  const IdxHeader header = read_idx_header(file, rank, what);
  const Index count = idx_count(path, header);
  if (count == 0)
    throw InputError(fmt::format("{}: found the extents {}, expected none of 0", path, header.shape.to_string()));
  return {header, read_numbers(file, header.type, static_cast<std::size_t>(count))};
}

}  // namespace

Dataset read_idx(const std::string& images_path, const std::string& labels_path, const DataOptions& options) {
  IdxFile images = read_idx_file(images_path, 3, "images [N][H][W]");
  IdxFile labels = read_idx_file(labels_path, 1, "labels [N]");
  const Shape& shape = images.header.shape;
  const Index n = shape[0];
  if (labels.header.shape[0] != n)
    throw InputError(fmt::format("{}: found {} labels, expected {} as {} has images", labels_path,
                                 labels.header.shape[0], n, images_path));
  Dataset data{
      images_path, n, Shape{1, shape[1], shape[2]}, std::move(images.values), Shape{}, std::move(labels.values), 0};
  data.source.format = "idx";
  data.source.dtype = name_of(images.header.type);
  data.source.labels = labels_path;
  set_classes(labels_path, options, data);
  return data;
}

}  // namespace hso
