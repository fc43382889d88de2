// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/file.hpp"
#include "io/npy_header.hpp"
#include "io/npy_reader.hpp"
#include "io/payload.hpp"

namespace hso {

namespace {

constexpr std::array<unsigned char, 6> kMagic = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/// Little-endian, as both header lengths are.
std::uint32_t read_length(ByteReader& file, std::size_t bytes) {
  unsigned char b[4] = {};
  file.read(Span<char>(reinterpret_cast<char*>(b), bytes));
  return b[0] | b[1] << 8 | b[2] << 16 | static_cast<std::uint32_t>(b[3]) << 24;
}

void check_start(const ByteReader& file, Span<const unsigned char> start) {
  if (std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0)
    throw InputError(fmt::format("{}: found the bytes {:02x}, expected a .npy file ({:02x})", file.path(),
                                 fmt::join(start.first(6), " "), fmt::join(Span<const unsigned char>(kMagic), " ")));
  if (start[6] < 1 || start[6] > 3)
    throw InputError(
        fmt::format("{}: found .npy format {}.{}, expected 1.0, 2.0 or 3.0", file.path(), start[6], start[7]));
}

NpyHeader read_header(ByteReader& file) {
  if (file.size() < 10)
    throw InputError(fmt::format("{}: found {} bytes, expected a .npy file (10 or more)", file.path(), file.size()));
  std::array<unsigned char, 8> start{};
  file.read(Span<char>(reinterpret_cast<char*>(start.data()), start.size()));
  check_start(file, start);
  const std::uint32_t length = read_length(file, start[6] == 1 ? 2 : 4);
  if (length > file.remaining())
    throw InputError(
        fmt::format("{}: found a .npy header of {} bytes, but only {} follow", file.path(), length, file.remaining()));
  std::string text(length, '\0');
  file.read(text);
  return parse_npy_header(file.path(), text);
}

/// Row-major from column-major: walks the output in order and keeps the matching input position.
std::vector<double> to_row_major(const Shape& shape, const std::vector<double>& in) {
  std::vector<double> out(in.size());
  std::array<Index, Shape::kMaxRank> at{}, stride{};
  Index step = 1;
  for (int a = 0; a < shape.rank(); step *= shape[a++]) stride[static_cast<std::size_t>(a)] = step;
  Index from = 0;
  for (double& value : out) {
    value = in[static_cast<std::size_t>(from)];
    for (int a = shape.rank() - 1; a >= 0; --a) {
      const auto axis = static_cast<std::size_t>(a);
      from += stride[axis];
      if (++at[axis] < shape[a]) break;
      from -= stride[axis] * shape[a];
      at[axis] = 0;
    }
  }
  return out;
}

std::string header_text(std::string_view descr, const Shape& shape) {
  std::string tuple;
  for (int a = 0; a < shape.rank(); ++a) tuple += fmt::format("{},{}", shape[a], a + 1 < shape.rank() ? " " : "");
  std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, tuple);
  // Magic, version and length are 10 bytes; the data starts at a multiple of 64.
  dictionary.append(63 - (10 + dictionary.size()) % 64, ' ');
  dictionary += '\n';
  const auto length = static_cast<unsigned>(dictionary.size());
  std::string out(kMagic.begin(), kMagic.end());
  for (unsigned byte : {1u, 0u, length & 0xff, length >> 8}) out += static_cast<char>(byte);
  return out + dictionary;
}

}  // namespace

Array read_npy(ByteReader& file) {
  const std::string& path = file.path();
  const NpyHeader header = read_header(file);
  const std::uint64_t bytes = payload_bytes(path, "the array", header.shape, header.type.bytes);
  if (bytes != file.remaining())
    throw InputError(fmt::format("{}: found {} bytes of data, expected {} for shape {} of {}-byte numbers", path,
                                 file.remaining(), bytes, header.shape.to_string(), header.type.bytes));
  Array out{header.shape, read_payload(file, header.type, header.big_endian, header.shape.size()),
            header.type.integral(), name_of(header.type)};
  if (header.fortran_order && header.shape.rank() > 1) out.values = to_row_major(out.shape, out.values);
  return out;
}

Array read_npy(const std::string& path) {
  FileReader file(path);
  return read_npy(file);
}

template <class T>
void write_npy(const std::string& path, const Shape& shape, Span<const T> values) {
  if (shape.size() != static_cast<Index>(values.size()))
    throw InputError(fmt::format("write_npy {}: found {} values, expected {} for shape {}", path, values.size(),
                                 shape.size(), shape.to_string()));
  AtomicFile file(path);
  file.write(header_text(sizeof(T) == 4 ? "<f4" : "<f8", shape));
  write_payload<T>(file, values);
  file.commit();
}

template void write_npy<float>(const std::string&, const Shape&, Span<const float>);
template void write_npy<double>(const std::string&, const Shape&, Span<const double>);

}  // namespace hso
