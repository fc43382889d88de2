// SPDX-License-Identifier: Apache-2.0
//
// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011, section 5. The same (seed, stream, counter) gives the same bits on host and device.
#pragma once

#include <cmath>
#include <cstdint>

#include "hsogpu/detail/hd.hpp"

namespace hso::detail {

struct Philox4 {
  std::uint32_t v[4];
};

/// One block of four 32-bit words. key = seed, counter = (counter, stream).
HSO_HD inline Philox4 philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  constexpr std::uint32_t kM0 = 0xD2511F53u, kM1 = 0xCD9E8D57u, kW0 = 0x9E3779B9u, kW1 = 0xBB67AE85u;
  auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  auto c0 = static_cast<std::uint32_t>(counter), c1 = static_cast<std::uint32_t>(counter >> 32);
  auto c2 = static_cast<std::uint32_t>(stream), c3 = static_cast<std::uint32_t>(stream >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = static_cast<std::uint64_t>(kM0) * c0, p1 = static_cast<std::uint64_t>(kM1) * c2;
    const auto n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const auto n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += kW0;
    k1 += kW1;
  }
  return {{c0, c1, c2, c3}};
}

/// Uniform in (0, 1): 32 bits give (word + 1/2) / 2^32. Computed in double, so both backends round alike.
HSO_HD inline double uniform01(std::uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1p-32; }

/// Element i of a stream: word i % 4 of block i / 4.
HSO_HD inline std::uint32_t philox_word(std::uint64_t seed, std::uint64_t stream, std::uint64_t i) {
  return philox(seed, stream, i / 4).v[i % 4];
}

}  // namespace hso::detail
