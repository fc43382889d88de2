// SPDX-License-Identifier: Apache-2.0
//
// Damaged copies of a file, the same for the same seed and number.
#pragma once

#include <cstdint>
#include <string>

namespace hso::test {

struct Mutant {
  std::string bytes;
  std::string what;  ///< "number 17: byte 40 becomes 0xff"
};

/// A damaged copy of a file's bytes, the same on every machine: in turn a flipped bit, another byte, a cut, bytes put
/// in, a part doubled, a part taken out, a length of 1 to 8 bytes at its extremes, and a number of the text at its.
Mutant mutant_of(const std::string& good, std::uint64_t seed, std::uint64_t number);

}  // namespace hso::test
