// SPDX-License-Identifier: Apache-2.0
//
// The complementary error function for both sides, branch-free. (1 + 2x) e^{x^2} erfc(x) on [0, inf) as a polynomial in
// t = (x - 3.75) / (x + 3.75): the form of Shepherd and Laframboise, Math. Comp. 36 (1981) 249; the coefficients here
// are the Chebyshev series of 28 (double) and 13 (float) terms, summed into powers of t at 50 digits.
#pragma once

#include "hsogpu/detail/math.hpp"

namespace hso::detail {

/// c[0] + c[1] t + ...
template <int I = 0, class T, int N>
HSO_HD inline T polynomial(const T (&c)[N], T t) {
  if constexpr (I + 1 == N)
    return c[I];
  else
    return polynomial<I + 1>(c, t) * t + c[I];
}

HSO_HD inline double scaled_erfc(double t) {
  constexpr double kC[] = {
      1.2375126308378276,     -1.4024059858554702e-1,  3.58541548546369e-3,     8.2276738490151112e-2,
      -1.0880393014170746e-1, 9.2304321160195178e-2,   -5.8693398590547619e-2,  2.836227742156851e-2,
      -9.746579547619623e-3,  1.7556258319220233e-3,   2.9371359480570737e-4,   -2.9015397634600676e-4,
      5.1649407775463988e-5,  2.2383900563041528e-5,   -1.1445049125831309e-5,  -9.7281898618672025e-7,
      1.7534434251106334e-6,  -5.8319503421458129e-8,  -2.6114702359900955e-7,  2.4362700816477472e-8,
      4.0971223152703003e-8,  -4.4531916454241031e-9,  -6.5455602124802673e-9,  5.8208995143109947e-10,
      9.0221497003405904e-10, -4.9656323099806431e-11, -7.3395050085295394e-11, 1.7962578252163299e-12};
  return polynomial(kC, t);
}

HSO_HD inline float scaled_erfc(float t) {
  constexpr float kC[] = {1.23751263f,    -1.40240658e-1f, 3.58549531e-3f, 8.227842e-2f,    -1.08805228e-1f,
                          9.22907696e-2f, -5.86854405e-2f, 2.84092524e-2f, -9.77008718e-3f, 1.67591222e-3f,
                          3.30167456e-4f, -2.24116747e-4f, 2.20467189e-5f};
  return polynomial(kC, t);
}

HSO_HD inline double upper_half(double x) {
  return bits_as<double>(bits_as<std::uint64_t>(x) & ~std::uint64_t{0x7FFFFFF});
}
HSO_HD inline float upper_half(float x) { return bits_as<float>(bits_as<std::uint32_t>(x) & ~std::uint32_t{0xFFF}); }

/// e^{-x^2}: the square of x's upper half is exact, the rest r is small enough for its series.
template <class T>
HSO_HD inline T exp_minus_square(T x) {
  const T high = upper_half(x), r = (high - x) * (high + x);
  return exp_of(-high * high) * (1 + r * (1 + r / 2 * (1 + r / 3 * (1 + r / 4))));
}

/// e^{-x^2 / 2}, likewise.
template <class T>
HSO_HD inline T exp_minus_half_square(T x) {
  const T high = upper_half(x), r = (high - x) * (high + x) / 2;
  return exp_of(-high * high / 2) * (1 + r * (1 + r / 2 * (1 + r / 3 * (1 + r / 4))));
}

/// Within a few units in the last place while erfc(x) is a normal number, 0 beyond.
template <class T>
HSO_HD inline T erfc_of(T x) {
  const T a = clamp(x < 0 ? -x : x, T(0), T(30));
  const T upper = scaled_erfc((a - T(3.75)) / (a + T(3.75))) / (1 + 2 * a) * exp_minus_square(a);
  return x < 0 ? 2 - upper : upper;
}

}  // namespace hso::detail
