// SPDX-License-Identifier: Apache-2.0
//
// Means with Student-t intervals.
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/error.hpp"
#include "hsogpu/spectrum.hpp"

namespace hso {

namespace {

/// The continued fraction of the incomplete beta function by Lentz's method (Abramowitz and Stegun, 26.5.8).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < kTiny ? kTiny : d);
  double h = d;
  for (int m = 1; m <= 500; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (double term : {even, odd}) {
      d = 1 + term * d;
      d = 1 / (std::abs(d) < kTiny ? kTiny : d);
      c = 1 + term / c;
      c = std::abs(c) < kTiny ? kTiny : c;
      change = c * d;
      h *= change;
    }
    if (std::abs(change - 1) < 1e-15) break;
  }
  return h;
}

/// The regularised incomplete beta function I_x(a, b).
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/// P(|t| > q)
double two_sided_tail(double q, double dof) { return incomplete_beta(dof / 2, 0.5, dof / (dof + q * q)); }

}  // namespace

double student_t(double confidence, double dof) {
  if (!(confidence > 0 && confidence < 1) || !(dof > 0))
    throw UsageError(
        fmt::format("student_t: confidence {} with {} degrees of freedom, expected one in (0, 1) and more "
                    "than 0",
                    confidence, dof));
  const double tail = 1 - confidence;
  double low = 0, high = 1;
  while (two_sided_tail(high, dof) > tail) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-14 * high; ++i) {
    const double middle = 0.5 * (low + high);
    (two_sided_tail(middle, dof) > tail ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

Estimate mean_of(Span<const double> samples, std::uint64_t seed, double confidence) {
  const auto m = static_cast<double>(samples.size());
  if (samples.size() < 2)
    throw InputError(fmt::format("mean_of: {} samples, expected at least 2 for an error bar", samples.size()));
  Estimate e;
  for (double x : samples) e.value += x / m;
  double squares = 0;
  for (double x : samples) squares += (x - e.value) * (x - e.value);
  e.standard_error = std::sqrt(squares / (m - 1) / m);
  const double reach = student_t(confidence, m - 1) * e.standard_error;
  e.low = e.value - reach;
  e.high = e.value + reach;
  e.confidence = confidence;
  e.probes = static_cast<Index>(samples.size());
  e.seed = seed;
  return e;
}

}  // namespace hso
