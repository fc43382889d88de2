// SPDX-License-Identifier: Apache-2.0
//
// Event files of TensorBoard, decoded by a reader that shares nothing with the writer.
#include "report/event_file.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string_view>

#include "io/crc32c.hpp"

namespace hso {
namespace {

/// CRC32C one bit at a time by the polynomial as it is written, bytes and result reversed.
std::uint32_t slow_crc(std::string_view bytes) {
  const auto reversed = [](std::uint32_t value, int bits) {
    std::uint32_t out = 0;
    for (int i = 0; i < bits; ++i)
      if (((value >> i) & 1U) != 0) out |= 1U << (bits - 1 - i);
    return out;
  };
  std::uint32_t rest = 0xffffffffU;
  for (const char c : bytes) {
    rest ^= reversed(static_cast<unsigned char>(c), 8) << 24;
    for (int bit = 0; bit < 8; ++bit) rest = (rest << 1) ^ ((rest >> 31) != 0 ? 0x1edc6f41U : 0U);
  }
  return ~reversed(rest, 32);
}

std::string ascending(int first, int step) {
  std::string out;
  for (int i = 0; i < 32; ++i) out += static_cast<char>(first + i * step);
  return out;
}

TEST(Crc32c, KnownAnswers) {  // RFC 3720, B.4, and the check value of the catalogues
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c(ascending(0, 1)), 0x46dd794eU);
  EXPECT_EQ(crc32c(ascending(31, -1)), 0x113fdb5cU);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(slow_crc("123456789"), 0xe3069283U) << "the test's own";
}

template <class Number>
Number taken(std::string_view& bytes) {
  Number out{};
  EXPECT_GE(bytes.size(), sizeof out);
  if (bytes.size() < sizeof out) return out;
  std::memcpy(&out, bytes.data(), sizeof out);  // of a little-endian machine
  bytes.remove_prefix(sizeof out);
  return out;
}

std::uint64_t varint(std::string_view& bytes) {
  std::uint64_t out = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    out |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return out;
  }
  ADD_FAILURE() << "a number without end";
  return out;
}

std::string_view piece(std::string_view& bytes, std::uint64_t size) {
  EXPECT_LE(size, bytes.size());
  const std::string_view out = bytes.substr(0, size);
  bytes.remove_prefix(out.size());
  return out;
}

struct Decoded {
  double wall_time = -1;
  std::uint64_t step = 0;
  std::string version;
  std::map<std::string, float> values;
};

std::pair<std::string, float> value_of(std::string_view bytes) {
  std::pair<std::string, float> out;
  while (!bytes.empty()) {
    const std::uint64_t key = varint(bytes);
    if (key == (1 << 3 | 2))
      out.first = piece(bytes, varint(bytes));
    else if (key == (2 << 3 | 5))
      out.second = taken<float>(bytes);
    else
      ADD_FAILURE() << "key " << key << " in a value";
  }
  return out;
}

Decoded event_of(std::string_view bytes) {
  Decoded out;
  while (!bytes.empty()) {
    const std::uint64_t key = varint(bytes);
    if (key == (1 << 3 | 1)) {
      out.wall_time = taken<double>(bytes);
    } else if (key == (2 << 3 | 0)) {
      out.step = varint(bytes);
    } else if (key == (3 << 3 | 2)) {
      out.version = piece(bytes, varint(bytes));
    } else if (key == (5 << 3 | 2)) {
      std::string_view summary = piece(bytes, varint(bytes));
      while (!summary.empty()) {
        EXPECT_EQ(varint(summary), 1U << 3 | 2U);
        out.values.insert(value_of(piece(summary, varint(summary))));
      }
    } else {
      ADD_FAILURE() << "key " << key << " in an event";
      return out;
    }
  }
  return out;
}

std::uint32_t masked(std::string_view bytes) {
  const std::uint32_t crc = slow_crc(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

std::vector<Decoded> decoded(std::string_view bytes) {
  std::vector<Decoded> out;
  while (!bytes.empty()) {
    const std::string_view length_bytes = bytes.substr(0, 8);
    const auto length = taken<std::uint64_t>(bytes);
    EXPECT_EQ(taken<std::uint32_t>(bytes), masked(length_bytes)) << "event " << out.size();
    const std::string_view event = piece(bytes, length);
    EXPECT_EQ(taken<std::uint32_t>(bytes), masked(event)) << "event " << out.size();
    if (testing::Test::HasFailure()) return out;
    out.push_back(event_of(event));
  }
  return out;
}

TEST(EventFile, HoldsWhatWasGiven) {
  const double large = 3.5e38;  // beyond float
  const std::vector<report::Scalars> given{
      {1764542562.25, 0, {{"loss/train", 2.5435553084161704}, {"a tag of any länge", -0.0}}},
      {1764542563, 300, {}},
      {1764542563.5, std::int64_t{1} << 40, {{std::string(200, 't'), 1e-30}, {"large", large}}}};
  const std::vector<Decoded> events = decoded(report::event_file(1764542562, given));
  ASSERT_EQ(events.size(), given.size() + 1);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(events[0].wall_time, 1764542562);
  for (std::size_t i = 0; i < given.size(); ++i) {
    const Decoded& event = events[i + 1];
    EXPECT_EQ(event.wall_time, given[i].wall_time);
    EXPECT_EQ(event.step, static_cast<std::uint64_t>(given[i].step));
    ASSERT_EQ(event.values.size(), given[i].values.size());
    for (const auto& [tag, value] : given[i].values) {
      ASSERT_TRUE(event.values.contains(tag)) << tag;
      EXPECT_EQ(event.values.at(tag),
                value == large ? std::numeric_limits<float>::infinity() : static_cast<float>(value));
    }
  }
}

}  // namespace
}  // namespace hso
