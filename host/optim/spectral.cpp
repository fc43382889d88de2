// SPDX-License-Identifier: Apache-2.0
#include "optim/spectral.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/error.hpp"

namespace hso::detail {

SignPolicy parse_sign_policy(const std::string& word) {
  static const char* const kWords[] = {"raw", "abs", "clip", "shift", "truncate"};
  for (int i = 0; i < 5; ++i)
    if (word == kWords[i]) return static_cast<SignPolicy>(i);
  throw UsageError(fmt::format("optimizer hso: sign = '{}', expected raw, abs, clip, shift or truncate", word));
}

double Spectrum::smallest_nonzero() const {
  double least = std::numeric_limits<double>::infinity();
  for (double v : values)
    if (std::fabs(v) > summary.tolerance) least = std::min(least, std::fabs(v));
  return std::isfinite(least) ? least : 0;
}

Index ModifiedInverse::rank() const {
  return std::count_if(inverse.begin(), inverse.end(), [this](double b) { return b + eps != 0; });
}

namespace {

double phi_of(double lambda, double lowest, SignPolicy policy, double delta) {
  switch (policy) {
    case SignPolicy::raw:
      return lambda + delta;
    case SignPolicy::abs:
      return std::fabs(lambda) + delta;
    case SignPolicy::clip:
      return std::max(lambda, 0.0) + delta;
    case SignPolicy::shift:
      return lambda - std::min(lowest, 0.0) + delta;
    case SignPolicy::truncate:
      return lambda + std::copysign(delta, lambda);
  }
  return lambda;
}

}  // namespace

ModifiedInverse modify_inverse(const Spectrum& spectrum, SignPolicy policy, double delta, double eps) {
  ModifiedInverse out;
  out.eps = eps;
  out.smallest_phi = std::numeric_limits<double>::infinity();
  out.inverse.reserve(spectrum.values.size());
  const double lowest = spectrum.values.empty() ? 0 : spectrum.values.front();
  // With damping any phi but 0 is meant; without it, one below the rank tolerance is rounding noise.
  const double least = delta > 0 ? 0 : spectrum.summary.tolerance;
  for (double lambda : spectrum.values) {
    if (policy == SignPolicy::truncate && std::fabs(lambda) <= spectrum.summary.tolerance) {
      out.inverse.push_back(0);
      continue;
    }
    const double phi = phi_of(lambda, lowest, policy, delta);
    out.singular = out.singular || std::fabs(phi) <= least;
    out.smallest_phi = std::min(out.smallest_phi, std::fabs(phi));
    out.largest_phi = std::max(out.largest_phi, std::fabs(phi));
    out.inverse.push_back(1 / phi);
    ++out.kept;
  }
  return out;
}

SpectralStep spectral_step(const Spectrum& spectrum, const ModifiedInverse& inverse, const std::vector<double>& c,
                           double rate) {
  SpectralStep out;
  out.s.reserve(c.size());
  double curvature = 0;
  for (std::size_t i = 0; i < c.size(); ++i) {
    const double s = -rate * inverse.at(i) * c[i];
    out.s.push_back(s);
    out.slope += c[i] * s;
    curvature += spectrum.values[i] * s * s;
  }
  out.predicted_decrease = -(out.slope + 0.5 * curvature);
  return out;
}

}  // namespace hso::detail
