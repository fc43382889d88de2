// SPDX-License-Identifier: Apache-2.0
#include "report/event_file.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "io/crc32c.hpp"

namespace hso::report {
namespace {

// Wire types of protocol buffers.
enum WireType : std::uint64_t { kVarint = 0, kEightBytes = 1, kLength = 2, kFourBytes = 5 };

template <class Number>
std::string little_endian(Number number) {
  std::string out;
  for (std::size_t i = 0; i < sizeof(Number); ++i) out += static_cast<char>((number >> (8 * i)) & 0xff);
  return out;
}

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  return out + static_cast<char>(value);
}

std::string key(std::uint64_t field, WireType type) { return varint(field << 3 | type); }
std::string bytes(std::uint64_t field, const std::string& value) {
  return key(field, kLength) + varint(value.size()) + value;
}
std::string number(std::uint64_t field, double value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return key(field, kEightBytes) + little_endian(bits);
}
std::string number(std::uint64_t field, float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return key(field, kFourBytes) + little_endian(bits);
}

std::uint32_t masked_crc(const std::string& data) {
  const std::uint32_t crc = crc32c(data);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

std::string frame(const std::string& event) {
  const std::string length = little_endian(std::uint64_t{event.size()});
  return length + little_endian(masked_crc(length)) + event + little_endian(masked_crc(event));
}

/// Infinite beyond the largest float.
float as_float(double value) {
  using Limits = std::numeric_limits<float>;
  if (std::abs(value) > static_cast<double>(Limits::max()))
    return std::copysign(Limits::infinity(), value < 0 ? -1.F : 1.F);
  return static_cast<float>(value);
}

std::string event_of(const Scalars& s) {
  std::string summary;
  for (const auto& [tag, value] : s.values) summary += bytes(1, bytes(1, tag) + number(2, as_float(value)));
  return number(1, s.wall_time) + key(2, kVarint) + varint(static_cast<std::uint64_t>(s.step)) + bytes(5, summary);
}

}  // namespace

std::string event_file(double wall_time, const std::vector<Scalars>& events) {
  std::string out = frame(number(1, wall_time) + bytes(3, "brain.Event:2"));
  for (const Scalars& s : events) out += frame(event_of(s));
  return out;
}

}  // namespace hso::report
