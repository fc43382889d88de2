// SPDX-License-Identifier: Apache-2.0
#include "data/digits_data.hpp"
#include "hsogpu/data/dataset.hpp"

namespace hso {

namespace {

constexpr int kPixels = 64;

/// The printable characters from '#' on without '?' and '\\'.
int digit71(char c) { return c - '#' - (c > '?') - (c > '\\'); }

/// Number j of a row: three are packed as a * 289 + b * 17 + c in two characters.
int packed_number(const char* row, int j) {
  const int packed = digit71(row[j / 3 * 2]) * 71 + digit71(row[j / 3 * 2 + 1]);
  const int powers[3] = {17 * 17, 17, 1};
  return packed / powers[j % 3] % 17;
}

}  // namespace

Dataset digits() {
  Dataset data{"digits", kDigitCount, Shape{1, 8, 8}, {}, Shape{}, {}, 10};
  data.source.format = "embedded";
  data.source.dtype = "uint8";
  data.source.labels = "digits";
  data.inputs.reserve(std::size_t{kDigitCount} * kPixels);
  data.targets.reserve(kDigitCount);
  for (const char* row : kDigitRows) {
    for (int j = 0; j < kPixels; ++j) data.inputs.push_back(packed_number(row, j));
    data.targets.push_back(packed_number(row, kPixels));
  }
  return data;
}

}  // namespace hso
