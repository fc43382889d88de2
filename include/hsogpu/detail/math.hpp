// SPDX-License-Identifier: Apache-2.0
//
// exp, expm1, tanh and the logistic function for both sides, one body each: branch-free, so that the host's inner loops
// vectorise (libm's do not without fast-math), and within a few units in the last place of libm's.
// Cody and Waite's reduction x = k ln2 + r, |r| <= ln2/2, and the Taylor polynomial of e^r - 1.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "hsogpu/detail/hd.hpp"

namespace hso::detail {

template <class To, class From>
HSO_HD inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

/// e^x = scale * (1 + p), scale = 2^k, p = e^r - 1. x must lie within [kLowest, kHighest] of its type.
template <class T>
struct ExpParts {
  T scale, p;
};

template <class T>
struct ExpRange;
template <>
struct ExpRange<double> {
  static constexpr double kLowest = -708, kHighest = 709;
};
template <>
struct ExpRange<float> {
  static constexpr float kLowest = -87, kHighest = 88;
};

HSO_HD inline ExpParts<double> exp_parts(double x) {
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number in the low bits
  const double shifted = x * 1.4426950408889634074 + kShift;
  const double k = shifted - kShift;
  const double r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
  double q = 1.0 / 6227020800;
  q = q * r + 1.0 / 479001600;
  q = q * r + 1.0 / 39916800;
  q = q * r + 1.0 / 3628800;
  q = q * r + 1.0 / 362880;
  q = q * r + 1.0 / 40320;
  q = q * r + 1.0 / 5040;
  q = q * r + 1.0 / 720;
  q = q * r + 1.0 / 120;
  q = q * r + 1.0 / 24;
  q = q * r + 1.0 / 6;
  q = q * r + 0.5;
  const std::int64_t bits = bits_as<std::int64_t>(shifted) << 52;
  return {bits_as<double>(bits + (std::int64_t{1023} << 52)), r + r * r * q};
}

HSO_HD inline ExpParts<float> exp_parts(float x) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23
  const float shifted = x * 1.44269504f + kShift;
  const float k = shifted - kShift;
  const float r = (x - k * 0.693145752f) - k * 1.42860677e-6f;
  float q = 1.0f / 5040;
  q = q * r + 1.0f / 720;
  q = q * r + 1.0f / 120;
  q = q * r + 1.0f / 24;
  q = q * r + 1.0f / 6;
  q = q * r + 0.5f;
  const std::int32_t bits = static_cast<std::int32_t>(static_cast<std::uint32_t>(bits_as<std::int32_t>(shifted)) << 23);
  return {bits_as<float>(bits + (127 << 23)), r + r * r * q};
}

template <class T>
HSO_HD inline T clamp(T x, T low, T high) {
  x = x < low ? low : x;  // a NaN stays a NaN
  return x > high ? high : x;
}

/// 0 below kLowest, infinity above kHighest, NaN for NaN.
template <class T>
HSO_HD inline T exp_of(T x) {
  using R = ExpRange<T>;
  const ExpParts<T> e = exp_parts(clamp(x, R::kLowest, R::kHighest));
  const T y = e.scale + e.scale * e.p;
  const T low = x < R::kLowest ? T(0) : y;
  return x > R::kHighest ? T(INFINITY) : low;
}

/// e^x - 1 without cancellation.
template <class T>
HSO_HD inline T expm1_of(T x) {
  using R = ExpRange<T>;
  const ExpParts<T> e = exp_parts(clamp(x, R::kLowest, R::kHighest));
  const T y = e.scale * e.p + (e.scale - 1);
  return x > R::kHighest ? T(INFINITY) : y;
}

/// (e^{2|x|} - 1) / (e^{2|x|} + 1) with the sign of x; 1 to the last bit beyond |x| = 22.
template <class T>
HSO_HD inline T tanh_of(T x) {
  const T a = x < 0 ? -x : x;
  const T m = expm1_of(clamp(2 * a, T(0), T(44)));
  const T t = m / (m + 2);
  return x < 0 ? -t : t;
}

/// e^-|x| and 1 - e^-|x|, neither of which loses digits; 0 and 1 where e^-|x| is below the normal numbers.
template <class T>
struct FallingExp {
  T e, missing;
};
template <class T>
HSO_HD inline FallingExp<T> falling_exp(T x) {
  constexpr T kLowest = ExpRange<T>::kLowest;
  const T a = x < 0 ? x : -x;
  const ExpParts<T> parts = exp_parts(a < kLowest ? kLowest : a);
  const T e = parts.scale + parts.scale * parts.p;
  return {a < kLowest ? T(0) : e, (1 - parts.scale) - parts.scale * parts.p};
}

/// 1 / (1 + e^-x), accurate in both tails.
template <class T>
HSO_HD inline T logistic(T x) {
  const T e = falling_exp(x).e;
  return (x < 0 ? e : T(1)) / (1 + e);
}

/// Derivatives of the logistic function and of tanh from their values y: relative accuracy is lost where y saturates.
template <class T>
HSO_HD inline T slope_of_logistic(T y) {
  return y * (1 - y);
}
template <class T>
HSO_HD inline T slope_of_tanh(T y) {
  return (1 - y) * (1 + y);
}

/// log(1 + e) for e in [0, 1]: 2 atanh(s), s = e / (2 + e) <= 1/3, by its series.
template <class T>
HSO_HD inline T log1p_unit(T e) {
  const T s = e / (2 + e), z = s * s;
  T q = 0;
  if constexpr (sizeof(T) == 8) {
    q = z / 33 + T(1) / 31;
    q = q * z + T(1) / 29;
    q = q * z + T(1) / 27;
    q = q * z + T(1) / 25;
    q = q * z + T(1) / 23;
    q = q * z + T(1) / 21;
    q = q * z + T(1) / 19;
  }
  q = q * z + T(1) / 17;
  q = q * z + T(1) / 15;
  q = q * z + T(1) / 13;
  q = q * z + T(1) / 11;
  q = q * z + T(1) / 9;
  q = q * z + T(1) / 7;
  q = q * z + T(1) / 5;
  q = q * z + T(1) / 3;
  return 2 * s + 2 * s * z * q;
}

/// log(1 + e^x) without overflow.
template <class T>
HSO_HD inline T softplus_of(T x) {
  const T e = exp_of(x < 0 ? x : -x);
  return (x > 0 ? x : T(0)) + log1p_unit(e);
}

}  // namespace hso::detail
