// SPDX-License-Identifier: Apache-2.0
//
// One way to say "equal up to rounding": every error in units of the largest entry of what is expected.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

namespace hso::test {

/// Against an exact answer: what the project promises for each type.
template <class T>
constexpr double exact_tolerance() {
  return std::is_same_v<T, double> ? 1e-11 : 5e-5;
}
/// Between two orders of the same sums: some hundred roundings.
template <class T>
constexpr double rounding_tolerance() {
  return 200 * static_cast<double>(std::numeric_limits<T>::epsilon());
}

inline double largest(const std::vector<double>& x) {
  double top = 0;
  for (double entry : x) top = std::max(top, std::fabs(entry));
  return top;
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// |got_i - want_i| <= tolerance * max |want| for every i; not for NaN. `scale` replaces max |want| when it is larger.
inline testing::AssertionResult close(const std::vector<double>& got, const std::vector<double>& want, double tolerance,
                                      double scale = 0) {
  if (got.size() != want.size())
    return testing::AssertionFailure() << got.size() << " numbers, expected " << want.size();
  scale = std::max(scale, largest(want));
  double worst = -1;
  std::size_t at = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(got[i] - want[i]);
    if (error <= worst) continue;
    worst = error;
    at = i;
    if (std::isnan(error)) break;
  }
  if (got.empty() || worst <= tolerance * scale) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "entry " << at << " of " << got.size() << ": " << got[at] << ", expected "
                                     << want[at] << "; error / largest = " << worst / scale << ", allowed "
                                     << tolerance;
}

inline testing::AssertionResult close(double got, double want, double tolerance) {
  return close(std::vector<double>{got}, std::vector<double>{want}, tolerance);
}

inline void expect_near(const std::vector<double>& x, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(x.size(), expected.size());
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], expected[i], tolerance) << "entry " << i;
}

/// max |a - a'| / max |a| of a square matrix.
inline double asymmetry(const std::vector<double>& a) {
  const auto n = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(a.size()))));
  double worst = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) worst = std::max(worst, std::fabs(a[i * n + j] - a[j * n + i]));
  return worst / largest(a);
}

}  // namespace hso::test
