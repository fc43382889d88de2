// SPDX-License-Identifier: Apache-2.0
#include "optim/spectral.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/error.hpp"

namespace hso::detail {

namespace {

template <class Word>
Word parse_word(const char* option, const std::string& word, const std::vector<std::string>& words) {
  const auto at = std::find(words.begin(), words.end(), word);
  if (at == words.end())
    throw UsageError(fmt::format("optimizer hso: {} = '{}', expected one of {}", option, word, fmt::join(words, ", ")));
  return static_cast<Word>(at - words.begin());
}

}  // namespace

SignPolicy parse_sign_policy(const std::string& word) {
  return parse_word<SignPolicy>("sign", word, {"raw", "abs", "clip", "shift", "truncate"});
}
StepControl parse_step_control(const std::string& word) {
  return parse_word<StepControl>("control", word, {"damping", "trust_region"});
}
VariableScaling parse_variable_scaling(const std::string& word) {
  return parse_word<VariableScaling>("scaling", word, {"none", "curvature"});
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
    out.length += s * s;
  }
  out.length = std::sqrt(out.length);
  out.predicted_decrease = -(out.slope + 0.5 * curvature);
  return out;
}

double delta_of_radius(const Spectrum& spectrum, SignPolicy policy, double eps, const std::vector<double>& c,
                       double rate, double radius) {
  const double lowest = spectrum.values.front(), tolerance = std::max(spectrum.summary.tolerance, 1e-300);
  double least = 0;
  if (policy == SignPolicy::raw) least = std::max(0.0, -lowest);
  const auto smallest = modify_inverse(spectrum, policy, least, eps).smallest_phi;
  if (!(smallest > tolerance)) least += tolerance;
  const auto too_long = [&](double delta) {
    return spectral_step(spectrum, modify_inverse(spectrum, policy, delta, eps), c, rate).length > radius;
  };
  if (!too_long(least)) return least;
  double low = std::max(least, tolerance), high = low;
  while (too_long(high) && std::isfinite(high)) high *= 4;
  for (double from = std::max(low, high / 4); high > 1.1 * from;) {
    const double middle = std::sqrt(from * high);
    (too_long(middle) ? from : high) = middle;
  }
  return high;
}

namespace {

bool counts_mean_something(const Spectrum& spectrum, bool in_double) {
  return in_double || spectrum.summary.inertia.zero == 0;
}

}  // namespace

void describe_spectrum(StepReport& report, const Spectrum& spectrum, const ModifiedInverse& inverse, double residual,
                       bool in_double) {
  auto& m = report.metrics;
  const auto count = [&](const char* name, Index value) {
    if (counts_mean_something(spectrum, in_double))
      m.emplace_back(name, std::int64_t{value});
    else
      m.emplace_back(name, std::string("not meaningful in float32"));
  };
  m.emplace_back("lambda_min", spectrum.values.front());
  m.emplace_back("lambda_max", spectrum.values.back());
  count("n_positive", spectrum.summary.inertia.positive);
  count("n_zero", spectrum.summary.inertia.zero);
  count("n_negative", spectrum.summary.inertia.negative);
  count("rank", spectrum.summary.rank);
  count("rank_modified", inverse.rank());
  const double smallest = spectrum.smallest_nonzero();
  m.emplace_back("condition", smallest > 0 ? spectrum.summary.largest / smallest : 0.0);
  m.emplace_back("condition_damped", inverse.kept > 0 ? inverse.largest_phi / inverse.smallest_phi : 0.0);
  m.emplace_back("inverse_residual", residual);
}

std::string singular_message(const Spectrum& spectrum, const ModifiedInverse& inverse, const std::string& sign,
                             double delta, bool in_double) {
  const std::string how_many =
      counts_mean_something(spectrum, in_double)
          ? fmt::format("{} of {} eigenvalues are at most {:.3g} in size", spectrum.summary.inertia.zero,
                        spectrum.values.size(), spectrum.summary.tolerance)
          : "how many eigenvalues are zero cannot be told in float32";
  return fmt::format(
      "hso: sign = {} with delta = {:.3g} cannot be inverted: {}, smallest |phi| = {:.3g}; give delta > 0, or "
      "sign = truncate",
      sign, delta, how_many, inverse.smallest_phi);
}

}  // namespace hso::detail
