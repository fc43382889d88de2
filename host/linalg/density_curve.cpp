// SPDX-License-Identifier: Apache-2.0
//
// Spectral densities as curves, convolved with a Gaussian.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/spectrum.hpp"

namespace hso {

namespace {

using Numbers = std::vector<double>;

/// The grid between the extremes, five widths beyond them.
DensityCurve empty_curve(double low, double high, Index points, double sigma) {
  if (points < 2) throw UsageError(fmt::format("density_curve: {} points, expected at least 2", points));
  const double size = std::max(std::abs(low), std::abs(high));
  const double range = size > 1e-290 ? std::max(high - low, 1e-12 * size) : 1;  // a zero matrix: any width will do
  DensityCurve curve;
  curve.sigma = sigma > 0 ? sigma : range / 100;
  const double begin = low - 5 * curve.sigma, step = (high - low + 10 * curve.sigma) / static_cast<double>(points - 1);
  for (Index i = 0; i < points; ++i) curve.x.push_back(begin + static_cast<double>(i) * step);
  return curve;
}

/// sum_j weights[j] N(x; nodes[j], sigma)
double smoothed(double x, double sigma, Span<const double> nodes, Span<const double> weights) {
  const double norm = 1 / (sigma * std::sqrt(2 * std::numbers::pi));
  double sum = 0;
  for (std::size_t j = 0; j < nodes.size(); ++j) {
    const double d = (x - nodes[j]) / sigma;
    sum += weights[j] * norm * std::exp(-0.5 * d * d);
  }
  return sum;
}

/// The share of the Chebyshev coefficients of exp(-x^2 / (2 s^2)) on [-1, 1] beyond `degree`: exp(-z) I_j(z) at 2j, z =
/// 1 / (4 s^2), from the recurrence of Bessel functions backwards (Miller). Their sum bounds the best approximation by
/// a polynomial of that degree; a Gaussian in the middle has the slowest ones.
double chebyshev_tail(double s, double degree) {
  if (degree * s < 0.3) return 1;
  const double z = 1 / (4 * s * s);
  double above = 0, here = 1, tail = 0, total = 0;
  for (double j = std::ceil(7 * std::sqrt(2 * z)) + 20; j >= 1; --j) {
    total += 2 * here;
    if (2 * j > degree) tail += 2 * here;
    const double below = above + 2 * j / z * here;
    above = here;
    here = below;
  }
  return tail / (total + here);
}

/// Both the probe's measure and its rule have mass 1 and agree on polynomials of degree 2m - 1.
double curve_error(const SpectralDensity& d, double sigma) {
  const double most = 1 / (sigma * std::sqrt(2 * std::numbers::pi));
  const auto low = d.lower_end(), high = d.upper_end();
  double sum = 0;
  for (std::size_t p = 0; p < d.nodes.size(); ++p) {
    if (d.exhausted[p]) continue;
    const auto degree = static_cast<double>(2 * d.nodes[p].size() - 1);
    const double half = low && high ? 0.5 * (*high - *low) : 0;
    sum += half > 0 ? std::min(1.0, 2 * chebyshev_tail(sigma / half, degree)) : 1;
  }
  return most * sum / static_cast<double>(d.nodes.size());
}

}  // namespace

DensityCurve density_curve(const SpectralDensity& density, Index points, double sigma) {
  if (density.nodes.size() < 2)
    throw UsageError(fmt::format("density_curve: {} probes, expected at least 2", density.nodes.size()));
  DensityCurve curve = empty_curve(density.smallest(), density.largest(), points, sigma);
  const auto probes = static_cast<double>(density.nodes.size());
  for (double x : curve.x) {
    Numbers samples;
    double mean = 0, squares = 0;
    for (std::size_t p = 0; p < density.nodes.size(); ++p) {
      samples.push_back(smoothed(x, curve.sigma, density.nodes[p], density.weights[p]));
      mean += samples.back() / probes;
    }
    for (double v : samples) squares += (v - mean) * (v - mean);
    curve.value.push_back(mean);
    curve.standard_error.push_back(std::sqrt(squares / (probes - 1) / probes));
  }
  curve.quadrature_error = curve_error(density, curve.sigma);
  return curve;
}

DensityCurve density_curve(Span<const double> eigenvalues, Index points, double sigma) {
  if (eigenvalues.empty()) throw UsageError("density_curve: no eigenvalues, expected at least one");
  const auto [low, high] = std::minmax_element(eigenvalues.begin(), eigenvalues.end());
  DensityCurve curve = empty_curve(*low, *high, points, sigma);
  const Numbers shares(eigenvalues.size(), 1 / static_cast<double>(eigenvalues.size()));
  for (double x : curve.x) curve.value.push_back(smoothed(x, curve.sigma, eigenvalues, shares));
  curve.standard_error.assign(curve.x.size(), 0.0);
  return curve;
}

}  // namespace hso
