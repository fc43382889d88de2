// SPDX-License-Identifier: Apache-2.0
#include "io/scalar_type.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace hso {

namespace {

template <int Bytes>
using Word = std::conditional_t<
    Bytes == 1, std::uint8_t,
    std::conditional_t<Bytes == 2, std::uint16_t, std::conditional_t<Bytes == 4, std::uint32_t, std::uint64_t>>>;

/// Assembled by shifts: independent of the byte order and alignment rules of the machine; compilers make it one load.
template <int Bytes>
Word<Bytes> load(const char* p, bool big_endian) {
  std::uint64_t word = 0;
  for (int i = 0; i < Bytes; ++i) {
    const int place = big_endian ? Bytes - 1 - i : i;
    word |= static_cast<std::uint64_t>(static_cast<unsigned char>(p[i])) << (8 * place);
  }
  return static_cast<Word<Bytes>>(word);
}

template <int Bytes, class Convert>
void decode(bool big_endian, Span<const char> bytes, Span<double> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = convert(load<Bytes>(bytes.data() + i * Bytes, big_endian));
}

template <int Bytes>
void decode_integers(bool is_signed, bool big_endian, Span<const char> bytes, Span<double> out) {
  using Unsigned = Word<Bytes>;
  using Signed = std::make_signed_t<Unsigned>;
  if (is_signed)
    decode<Bytes>(big_endian, bytes, out, [](Unsigned w) { return static_cast<double>(static_cast<Signed>(w)); });
  else
    decode<Bytes>(big_endian, bytes, out, [](Unsigned w) { return static_cast<double>(w); });
}

void decode_floats(int size, bool big_endian, Span<const char> bytes, Span<double> out) {
  if (size == 2) decode<2>(big_endian, bytes, out, [](std::uint16_t w) { return half_to_double(w); });
  if (size == 4) decode<4>(big_endian, bytes, out, [](std::uint32_t w) { return double{std::bit_cast<float>(w)}; });
  if (size == 8) decode<8>(big_endian, bytes, out, [](std::uint64_t w) { return std::bit_cast<double>(w); });
}

}  // namespace

std::string name_of(ScalarType type) {
  constexpr const char* kNames[] = {"bool", "int", "uint", "float", "bfloat"};
  const char* name = kNames[static_cast<int>(type.kind)];
  return type.kind == ScalarType::Kind::boolean ? name : name + std::to_string(8 * type.bytes);
}

double half_to_double(unsigned bits) {
  const double sign = (bits & 0x8000u) != 0 ? -1.0 : 1.0;
  const int exponent = static_cast<int>((bits >> 10) & 0x1fu);
  const double fraction = bits & 0x3ffu;
  if (exponent == 31)
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(fraction + 1024.0, exponent - 25);
}

void decode_scalars(ScalarType type, bool big_endian, Span<const char> bytes, Span<double> out) {
  using Kind = ScalarType::Kind;
  const bool is_signed = type.kind == Kind::signed_integer;
  if (type.kind == Kind::floating) return decode_floats(type.bytes, big_endian, bytes, out);
  if (type.kind == Kind::boolean)
    return decode<1>(big_endian, bytes, out, [](std::uint8_t w) { return w != 0 ? 1.0 : 0.0; });
  if (type.kind == Kind::brain_floating)
    return decode<2>(big_endian, bytes, out,
                     [](std::uint16_t w) { return double{std::bit_cast<float>(std::uint32_t{w} << 16)}; });
  if (type.bytes == 1) decode_integers<1>(is_signed, big_endian, bytes, out);
  if (type.bytes == 2) decode_integers<2>(is_signed, big_endian, bytes, out);
  if (type.bytes == 4) decode_integers<4>(is_signed, big_endian, bytes, out);
  if (type.bytes == 8) decode_integers<8>(is_signed, big_endian, bytes, out);
}

}  // namespace hso
