// SPDX-License-Identifier: Apache-2.0
#include "io/payload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <type_traits>

#include "hsogpu/core/error.hpp"

namespace hso {

namespace {

constexpr std::size_t kChunk = std::size_t{1} << 17;  // numbers

template <class Stored>
void append_little_endian(std::string& out, Stored value) {
  using Word = std::conditional_t<sizeof(Stored) == 1, std::uint8_t,
                                  std::conditional_t<sizeof(Stored) == 4, std::uint32_t, std::uint64_t>>;
  const Word word = std::bit_cast<Word>(value);
  for (std::size_t i = 0; i < sizeof(Stored); ++i) out += static_cast<char>(word >> (8 * i) & 0xff);
}

}  // namespace

std::uint64_t payload_bytes(const std::string& path, const std::string& what, const Shape& shape, int scalar_bytes) {
  try {
    return static_cast<std::uint64_t>(checked_multiply(shape.size(), scalar_bytes));
  } catch (const InputError&) {
    throw InputError(fmt::format("{}: {} has shape {}, more than 64 bits can count", path, what, shape.to_string()));
  }
}

std::vector<double> read_payload(ByteReader& file, ScalarType type, bool big_endian, Index count) {
  const auto width = static_cast<std::size_t>(type.bytes);
  std::vector<double> out(static_cast<std::size_t>(count));
  std::vector<char> bytes(std::min(out.size(), kChunk) * width);
  for (std::size_t begin = 0; begin < out.size(); begin += kChunk) {
    const std::size_t n = std::min(kChunk, out.size() - begin);
    file.read(Span<char>(bytes.data(), n * width));
    decode_scalars(type, big_endian, Span<const char>(bytes.data(), n * width), Span<double>(out.data() + begin, n));
  }
  return out;
}

template <class Stored, class T>
void write_payload(AtomicFile& file, Span<const T> values) {
  std::string bytes;
  for (std::size_t begin = 0; begin < values.size(); begin += kChunk) {
    bytes.clear();
    for (T value : values.subspan(begin, std::min(kChunk, values.size() - begin)))
      append_little_endian(bytes, static_cast<Stored>(value));
    file.write(bytes);
  }
}

template void write_payload<float>(AtomicFile&, Span<const float>);
template void write_payload<float>(AtomicFile&, Span<const double>);
template void write_payload<double>(AtomicFile&, Span<const double>);
template void write_payload<std::uint8_t>(AtomicFile&, Span<const double>);

}  // namespace hso
