// SPDX-License-Identifier: Apache-2.0
//
// Random fills and the dropout mask. Element i of (seed, stream) is the same number on every backend, to the bit:
// the normal numbers use only fma, division and square root, which IEEE 754 rounds one way.
#pragma once

#include "hsogpu/detail/elements/common.hpp"
#include "hsogpu/detail/philox.hpp"

namespace hso::detail {

/// log(u) for u in (0, 1], by fma alone: u = 2^e m, log m = 2 atanh((m-1)/(m+1)), m in [sqrt(1/2), sqrt(2)).
HSO_HD inline double portable_log(double u) {
  int exponent = 0;
  double m = std::frexp(u, &exponent);
  if (m < 0.70710678118654752440) {
    m = 2 * m;
    --exponent;
  }
  const double s = (m - 1) / (m + 1), z = s * s;
  double q = 0;
  for (int j = 21; j >= 1; j -= 2) q = std::fma(q, z, 1.0 / j);
  const double twice = 2 * s;
  return std::fma(static_cast<double>(exponent), 0.69314718055994530942, twice * q);
}

/// cos(2 pi u), u in (0, 1), by fma alone: the nearest quarter turn is taken off exactly, then Taylor's polynomial.
HSO_HD inline double portable_cos_turns(double u) {
  const double quarter = std::floor(std::fma(u, 4.0, 0.5));
  const double x = std::fma(quarter, -0.25, u) * 6.28318530717958647693;
  const double z = x * x;
  double c = 0, s = 0;
  for (int j = 18; j >= 2; j -= 2) c = std::fma(c, -z / (j * (j - 1.0)), 1.0);
  for (int j = 19; j >= 3; j -= 2) s = std::fma(s, -z / (j * (j - 1.0)), 1.0);
  s = s * x;
  const int turn = static_cast<int>(quarter) & 3;
  const double value = (turn & 1) != 0 ? s : c;
  return turn == 1 || turn == 2 ? -value : value;
}

enum class Distribution { uniform, normal, rademacher };

/// x[i] = shift + scale * d, d uniform in (0,1), standard normal (Box and Muller 1958) or +-1.
template <class T>
struct RandomFill {
  T* x;
  std::uint64_t seed, stream;
  Distribution distribution;
  double shift, scale;
  HSO_HD double draw(Index i) const {
    const auto element = static_cast<std::uint64_t>(i);
    if (distribution == Distribution::uniform) return uniform01(philox_word(seed, stream, element));
    if (distribution == Distribution::rademacher) return (philox_word(seed, stream, element) >> 31) != 0 ? 1.0 : -1.0;
    const Philox4 block = philox(seed, stream, element / 2);
    const int pair = static_cast<int>(element % 2) * 2;
    const double radius = std::sqrt(-2 * portable_log(uniform01(block.v[pair])));
    return radius * portable_cos_turns(uniform01(block.v[pair + 1]));
  }
  HSO_HD void operator()(Index, Index i) const { x[i] = static_cast<T>(std::fma(scale, draw(i), shift)); }
};

/// mask[o][i] = 1/(1-p) with probability 1-p, else 0, by the number rows[o] of the row (o where `rows` is null), not by
/// where it lies in a batch. `step` and `rows` are read from device memory, so one recorded launch serves every
/// training step.
template <class T>
struct DropoutMask {
  T* mask;
  std::uint64_t seed, layer;
  const std::uint64_t* step;
  const Index* rows;
  Index cols;
  double p;
  HSO_HD void operator()(Index o, Index i) const {
    const Index row = rows != nullptr ? rows[o] : o;
    const std::uint32_t word =
        philox_word(seed ^ (*step * 0x9E3779B97F4A7C15ull), layer, static_cast<std::uint64_t>(row * cols + i));
    mask[o * cols + i] = uniform01(word) < p ? T(0) : static_cast<T>(1 / (1 - p));
  }
};

template <class T>
using RandomOps = Types<RandomFill<T>, DropoutMask<T>>;

}  // namespace hso::detail
