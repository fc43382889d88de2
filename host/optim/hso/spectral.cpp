// SPDX-License-Identifier: Apache-2.0
#include "optim/hso/spectral.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "optim/choices.hpp"

namespace hso::detail {

double Spectrum::smallest_nonzero() const {
  double least = std::numeric_limits<double>::infinity();
  for (double v : values)
    if (std::fabs(v) > summary.tolerance) least = std::min(least, std::fabs(v));
  return std::isfinite(least) ? least : 0;
}

void Spectrum::visit_state(StateVisitor& state) {
  state("values", values);
  state("positive", summary.inertia.positive);
  state("zero", summary.inertia.zero);
  state("negative", summary.inertia.negative);
  state("rank", summary.rank);
  state("largest", summary.largest);
  state("tolerance", summary.tolerance);
  state("condition", summary.condition);
  state("error", error);
  state("drift", drift);
}

Inertia Spectrum::inertia() const {
  Inertia out;
  const double least = std::max(summary.tolerance, error);
  for (double v : values) ++(std::fabs(v) <= least ? out.zero : v > 0 ? out.positive : out.negative);
  return out;
}

Index Spectrum::uncertain() const {
  const double least = std::max(summary.tolerance, error);
  return std::count_if(values.begin(), values.end(), [&](double v) { return v < -least && v >= -drift; });
}

double change_to_come(const Spectrum& spectrum, const std::vector<double>& c, double extent, double value,
                      double epsilon) {
  constexpr double kShare = 4;
  const double rounding = 8 * epsilon * std::sqrt(2 * std::fabs(value));
  double sum = 0;
  for (std::size_t i = 0; i < c.size(); ++i)
    if (spectrum.values[i] > 0) sum += c[i] * c[i];
  const double change = extent > 0 ? kShare * (std::sqrt(sum) + (extent > rounding ? rounding : 0)) / extent : 0;
  return std::max(change, Spectrum::kClear * spectrum.summary.tolerance);
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

namespace {

/// What the quadratic model says of s.
SpectralStep measured(const Spectrum& spectrum, const std::vector<double>& c, std::vector<double> s) {
  SpectralStep out;
  double curvature = 0;
  for (std::size_t i = 0; i < c.size(); ++i) {
    out.slope += c[i] * s[i];
    curvature += spectrum.values[i] * s[i] * s[i];
    out.length += s[i] * s[i];
  }
  out.length = std::sqrt(out.length);
  out.predicted_decrease = -(out.slope + 0.5 * curvature);
  out.s = std::move(s);
  return out;
}

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return std::sqrt(sum);
}

/// Share of the eigenvector's decrease below which it is taken. `abs` and `truncate` step off or onto a saddle by the
/// gradient while there is one; the steps of the others end inside the region in the hard case alone.
double least_share(SignPolicy policy) {
  const bool by_gradient = policy == SignPolicy::abs || policy == SignPolicy::truncate;
  return by_gradient ? 1e-4 : std::numeric_limits<double>::infinity();
}

}  // namespace

SpectralStep spectral_step(const Spectrum& spectrum, const ModifiedInverse& inverse, const std::vector<double>& c,
                           double rate) {
  std::vector<double> s;
  s.reserve(c.size());
  for (std::size_t i = 0; i < c.size(); ++i) s.push_back(-rate * inverse.at(i) * c[i]);
  return measured(spectrum, c, std::move(s));
}

SpectralStep leave_saddle(const Spectrum& spectrum, SignPolicy policy, const std::vector<double>& c,
                          const SpectralStep& step, double radius) {
  if (!spectrum.has_negative()) return step;
  const double gain = -spectrum.values.front() * radius * radius / 2;
  if (step.predicted_decrease >= least_share(policy) * gain) return step;
  std::vector<double> s = step.s;
  for (std::size_t i = 0; i < s.size(); ++i)
    if (s[i] * c[i] > 0 || i == 0) s[i] = 0;
  const double length = norm(s);
  if (!(length < radius)) return step;
  const double along = std::sqrt((radius - length) * (radius + length));
  s[0] = c[0] > 0 ? -along : along;
  SpectralStep out = measured(spectrum, c, std::move(s));
  return out.predicted_decrease > step.predicted_decrease ? out : step;
}

double delta_of_radius(const Spectrum& spectrum, SignPolicy policy, double eps, const std::vector<double>& c,
                       double rate, double radius) {
  constexpr int kHalvings = 100;  // from 1e-300 to 1e300 within a tenth takes 15
  const double tolerance = std::max(spectrum.summary.tolerance, 1e-300);
  const double pole = policy == SignPolicy::raw ? std::max(0.0, -spectrum.values.front()) : 0;
  const bool inverts = modify_inverse(spectrum, policy, pole, eps).smallest_phi > tolerance;
  const auto too_long = [&](double more) {
    return spectral_step(spectrum, modify_inverse(spectrum, policy, pole + more, eps), c, rate).length > radius;
  };
  if (const double least = inverts ? 0 : tolerance; !too_long(least)) return pole + least;
  // |phi| is at least what is added to the pole, so no step is longer than rate (1 / more + eps) |c|.
  const double size = rate * norm(c);
  double low = tolerance, high = std::max(low, size / (radius - eps * size));
  if (!(high < 1e300)) high = 1e300;  // where the quotient overflows
  for (int i = 0; i < kHalvings && high > 1.1 * low; ++i) {
    const double middle = std::sqrt(low) * std::sqrt(high);
    (too_long(middle) ? low : high) = middle;
  }
  return pole + high;
}

std::vector<double> undamped_step(const Spectrum& spectrum, const std::vector<double>& c) {
  std::vector<double> s(c.size());
  for (std::size_t i = 0; i < c.size(); ++i)
    if (c[i] != 0) s[i] = -c[i] / std::max(std::fabs(spectrum.values[i]), spectrum.summary.tolerance);
  return s;
}

double largest_slope(const std::vector<double>& diagonal, const std::vector<double>& g, double tolerance) {
  double largest = 0;
  for (std::size_t i = 0; i < g.size(); ++i)
    if (g[i] != 0)
      largest = std::max(largest, std::fabs(g[i]) / std::sqrt(std::max(std::fabs(diagonal[i]), tolerance)));
  return largest;
}

double largest_cosine(double largest_slope, double value) {
  return largest_slope > 0 ? largest_slope / std::sqrt(2 * std::fabs(value)) : 0;
}

double scaled_gradient(const Spectrum& spectrum, const std::vector<double>& c, double largest_slope, double value) {
  const double unit = std::sqrt(2 * std::fabs(value));
  const std::vector<double> s = undamped_step(spectrum, c);
  double sum = 0;
  for (std::size_t i = 0; i < c.size(); ++i)
    if (c[i] != 0) sum -= (c[i] / unit) * (s[i] / unit);
  return std::max(std::sqrt(sum), largest_cosine(largest_slope, value));
}

namespace {

bool counts_mean_something(const Spectrum& spectrum, bool in_double) {
  return in_double || spectrum.summary.inertia.zero == 0;
}

}  // namespace

void describe_spectrum(StepReport& report, const Spectrum& spectrum, bool in_double) {
  auto& m = report.metrics;
  const Inertia inertia = spectrum.inertia();
  const auto count = [&](const char* name, Index value, bool known) {
    if (known)
      m.emplace_back(name, std::int64_t{value});
    else
      m.emplace_back(name, std::string("not meaningful in float32"));
  };
  m.emplace_back("lambda_min", spectrum.values.front());
  m.emplace_back("lambda_max", spectrum.values.back());
  const bool all = counts_mean_something(spectrum, in_double), signs = all || spectrum.clearly_negative();
  count("n_positive", inertia.positive, signs);
  count("n_zero", inertia.zero, signs);
  count("n_negative", inertia.negative, signs);
  count("rank", inertia.positive + inertia.negative, all);
}

void describe_spectrum(StepReport& report, const Spectrum& spectrum, const ModifiedInverse& inverse, double residual,
                       bool in_double) {
  describe_spectrum(report, spectrum, in_double);
  auto& m = report.metrics;
  if (counts_mean_something(spectrum, in_double))
    m.emplace_back("rank_modified", std::int64_t{inverse.rank()});
  else
    m.emplace_back("rank_modified", std::string("not meaningful in float32"));
  const double smallest = spectrum.smallest_nonzero();
  m.emplace_back("condition", smallest > 0 ? spectrum.summary.largest / smallest : 0.0);
  m.emplace_back("condition_damped", inverse.kept > 0 ? inverse.largest_phi / inverse.smallest_phi : 0.0);
  m.emplace_back("inverse_residual", residual);
  if (const Index n = spectrum.uncertain(); n > 0) m.emplace_back("n_uncertain", std::int64_t{n});
}

std::string singular_message(const Spectrum& spectrum, const ModifiedInverse& inverse, SignPolicy sign, double delta,
                             bool in_double) {
  const std::string how_many =
      counts_mean_something(spectrum, in_double)
          ? fmt::format("{} of {} eigenvalues are at most {:.3g} in size", spectrum.summary.inertia.zero,
                        spectrum.values.size(), spectrum.summary.tolerance)
          : "how many eigenvalues are zero cannot be told in float32";
  return fmt::format(
      "sign = {} with delta = {:.3g} cannot be inverted: {}, smallest |phi| = {:.3g}; give delta > 0, or "
      "sign = truncate",
      word_of(sign), delta, how_many, inverse.smallest_phi);
}

}  // namespace hso::detail
