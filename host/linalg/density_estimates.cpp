// SPDX-License-Identifier: Apache-2.0
//
// What the rules of a spectral density's probes say of traces of functions: the probes' spread, and on either side of
// it the rules that bound the quadrature.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "linalg/estimate_rounding.hpp"
#include "linalg/host_eigen.hpp"

namespace hso {

using namespace detail;

namespace {

using Numbers = std::vector<double>;
using Function = std::function<double(double)>;
constexpr double kSumRounding = 1e-14;  // of nodes and weights in double, beside the sum
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double mean(const Numbers& x) {
  double sum = 0;
  for (double v : x) sum += v / static_cast<double>(x.size());
  return sum;
}

double integral(const GaussRule& rule, const Function& f) {
  double sum = 0;
  for (std::size_t i = 0; i < rule.nodes.size(); ++i) sum += rule.weights[i] * f(rule.nodes[i]);
  return sum;
}

/// Of each probe, times n: the quadrature's value, and what lies below and above v'f(A)v. Rounding is `low` and `high`
/// beside `lower` and `upper`.
struct Samples {
  Numbers value, lower, upper, low, high;
  void add(double middle, double below, double above, double rounded_below, double rounded_above) {
    value.push_back(middle);
    lower.push_back(below);
    upper.push_back(above);
    low.push_back(std::min(below, rounded_below));
    high.push_back(std::max(above, rounded_above));
  }
};

/// Each side of the interval is that of its own samples: both hold with at least the confidence asked for.
Estimate estimate_of(const Samples& s, const SpectralDensity& d, bool bounded) {
  Estimate e = mean_of(s.value, d.seed, d.confidence);
  e.low = std::min(e.low, mean_of(s.low, d.seed, d.confidence).low);
  e.high = std::max(e.high, mean_of(s.high, d.seed, d.confidence).high);
  e.quadrature_bounded = bounded;
  e.quadrature_error = std::max(e.value - mean(s.lower), mean(s.upper) - e.value);
  e.rounding_error = std::max(mean(s.lower) - mean(s.low), mean(s.high) - mean(s.upper));
  return e;
}

/// f at nodes that rounding may have moved by `reach`, inside what is known of the spectrum.
class Rounded {
 public:
  Rounded(const Function& f, double lowest, double reach) : f_(f), lowest_(lowest), reach_(reach) {}
  double operator()(double x) const { return f_(std::max(x, lowest_)); }
  double least(double x) const {
    return extreme(x, [](double a, double b) { return std::min(a, b); });
  }
  double most(double x) const {
    return extreme(x, [](double a, double b) { return std::max(a, b); });
  }

 private:
  template <class Choose>
  double extreme(double x, const Choose& choose) const {
    double out = (*this)(x);
    for (double y : {x - reach_, x + reach_})
      if (const double v = (*this)(y); std::isfinite(v)) out = choose(out, v);
    return out;
  }
  const Function& f_;
  double lowest_, reach_;
};

/// log P(component^2 <= mass) of a normal component of variance 1/n.
double log_share(double n, double log_mass) {
  const double x = std::exp(0.5 * (std::log(n / 2) + log_mass));
  return x < 1e-6 ? std::log(2 * x) - 0.5 * std::log(std::numbers::pi) : std::log(std::erf(x));
}

/// Whether an eigenvalue at x, or beyond, is as good as excluded: its vector's component along each probe would have to
/// fit the probe's moments. Were there one, minus the sum of the logs would lie below a sum of as many exponential
/// variables (Fisher's combination), and P(sum of m >= s) <= exp(m - s) (s / m)^m.
bool excluded(const SpectralDensity& d, double x) {
  double sum = 0;
  for (std::size_t p = 0; p < d.nodes.size(); ++p) {
    const double mass = log_largest_mass(d.diagonals[p], d.off_diagonals[p], x);
    sum -= log_share(static_cast<double>(d.n), std::max(mass, std::log(d.epsilon)));
  }
  const auto m = static_cast<double>(d.nodes.size());
  return sum > m && m - sum + m * std::log(sum / m) <= std::log((1 - d.confidence) / 100);
}

/// The distance from the last node, outwards, from which on eigenvalues are excluded.
std::optional<double> distance_beyond(const SpectralDensity& d, double end, int direction) {
  const double range = d.largest() - d.smallest();
  if (!(range > 0)) return 0;
  double far = 1e-6 * range, near = 0;
  while (!excluded(d, end + direction * far)) {
    near = far;
    far *= 4;
    if (far > 10 * range) return std::nullopt;
  }
  for (int i = 0; i < 20; ++i) {
    const double middle = 0.5 * (near + far);
    (excluded(d, end + direction * middle) ? far : near) = middle;
  }
  return far;
}

GaussRule gauss_rule(const SpectralDensity& d, std::size_t p) { return {d.nodes[p], d.weights[p]}; }

/// The Gauss rule of the first half of the steps; of an exhausted probe that of all: there is no error to see.
GaussRule half_rule(const SpectralDensity& d, std::size_t p) {
  if (d.exhausted[p]) return gauss_rule(d, p);
  const auto m = static_cast<std::ptrdiff_t>(std::max<std::size_t>(1, d.diagonals[p].size() / 2));
  return host_gauss_rule({d.diagonals[p].begin(), d.diagonals[p].begin() + m},
                         {d.off_diagonals[p].begin(), d.off_diagonals[p].begin() + m - 1});
}

}  // namespace

double detail::node_rounding(const SpectralDensity& d) {
  return 20 * d.epsilon * std::max(std::abs(d.smallest()), std::abs(d.largest()));
}

double detail::trace_rounding(double epsilon, Index n, double frobenius_squared) {
  return 10 * epsilon * std::sqrt(static_cast<double>(n) * frobenius_squared);
}

Estimate detail::with_rounding(Estimate e, double rounding) {
  e.low -= rounding;
  e.high += rounding;
  e.rounding_error += rounding;
  return e;
}

Estimate SpectralDensity::trace_of(const std::function<double(double)>& f, DerivativeSigns signs) const {
  const double scale = static_cast<double>(n);
  const Rounded rounded(f, lower_bound.value_or(-kInfinity), node_rounding(*this));
  std::optional<double> end;
  if (signs.even != 0 && signs.odd != 0) end = signs.odd == -signs.even ? lower_end() : upper_end();
  if (end && *end <= smallest() + node_rounding(*this)) end = std::min(*end, smallest());  // rounding went below it
  const bool bounded = end && std::isfinite(rounded(*end));
  Samples samples;
  double size = 0;
  for (std::size_t p = 0; p < nodes.size(); ++p) {
    const GaussRule gauss = gauss_rule(*this, p);
    const GaussRule other = exhausted[p] ? gauss
                            : bounded    ? host_radau_rule(diagonals[p], off_diagonals[p], *end)
                                         : half_rule(*this, p);
    const double a = scale * integral(gauss, rounded), b = scale * integral(other, rounded);
    size = std::max(size, scale * integral(gauss, [&](double x) { return std::abs(rounded(x)); }));
    const GaussRule& below = signs.even < 0 ? other : gauss;  // positive even derivatives: Gauss rules are too small
    const GaussRule& above = signs.even < 0 ? gauss : other;
    const auto least = [&](double x) { return rounded.least(x); };
    const auto most = [&](double x) { return rounded.most(x); };
    if (bounded)
      samples.add(0.5 * (a + b), std::min(a, b), std::max(a, b), scale * integral(below, least),
                  scale * integral(above, most));
    else
      samples.add(a, a - std::abs(a - b), a + std::abs(a - b), scale * integral(gauss, least) - std::abs(a - b),
                  scale * integral(gauss, most) + std::abs(a - b));
  }
  const bool exact = std::find(exhausted.begin(), exhausted.end(), false) == exhausted.end();
  Estimate e = with_rounding(estimate_of(samples, *this, bounded || exact), kSumRounding * size);
  if (signs.even < 0 && !e.quadrature_bounded) e.low = -kInfinity;
  if (signs.even > 0 && !e.quadrature_bounded) e.high = kInfinity;
  return e;
}

namespace {

/// Of a polynomial that the Gauss rules integrate exactly.
Estimate moment(const SpectralDensity& d, int degree) {
  Numbers samples;
  double second = 0;
  for (std::size_t p = 0; p < d.nodes.size(); ++p) {
    const GaussRule rule = gauss_rule(d, p);
    const double squares = static_cast<double>(d.n) * integral(rule, [](double x) { return x * x; });
    samples.push_back(degree == 2 ? squares : static_cast<double>(d.n) * integral(rule, [](double x) { return x; }));
    second += squares / static_cast<double>(d.nodes.size());
  }
  const double rounding = degree == 2 ? 20 * d.epsilon * second : trace_rounding(d.epsilon, d.n, second);
  return with_rounding(mean_of(samples, d.seed, d.confidence), rounding);
}

}  // namespace

Estimate SpectralDensity::trace() const { return moment(*this, 1); }

Estimate SpectralDensity::frobenius_squared() const { return moment(*this, 2); }

Estimate SpectralDensity::log_determinant(double delta) const {
  const double least = lower_bound ? *lower_bound : smallest() - node_rounding(*this);
  if (!(least + delta > 0))
    throw InputError(
        fmt::format("log_determinant: eigenvalues may be as small as {:.6g}, so delta must exceed {:.6g}; found {:.6g}",
                    least, -least, delta));
  const auto f = [delta](double x) { return x + delta > 0 ? std::log(x + delta) : -kInfinity; };
  return trace_of(f, {.even = -1, .odd = 1});
}

Estimate SpectralDensity::count_above(double threshold) const {
  const double scale = static_cast<double>(n), reach = node_rounding(*this);
  /// Mass of the rule with x for a node above that node, and with it.
  const auto above = [&](std::size_t p, double x) {
    const bool known = exhausted[p];
    const GaussRule rule = known ? gauss_rule(*this, p) : host_radau_rule(diagonals[p], off_diagonals[p], x);
    std::size_t own = 0;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i)
      if (std::abs(rule.nodes[i] - x) < std::abs(rule.nodes[own] - x)) own = i;
    double without = 0;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i)
      without += known ? (rule.nodes[i] > x ? rule.weights[i] : 0) : i > own ? rule.weights[i] : 0;
    return std::pair{scale * without, scale * (without + (known ? 0 : rule.weights[own]))};
  };
  Samples samples;
  for (std::size_t p = 0; p < nodes.size(); ++p) {
    const auto [lower, upper] = above(p, threshold);
    samples.add(0.5 * (lower + upper), lower, upper, above(p, threshold + reach).first,
                above(p, threshold - reach).second);
  }
  Estimate e = with_rounding(estimate_of(samples, *this, true), 20 * epsilon * scale);
  e.low = std::max(e.low, 0.0);
  e.high = std::min(e.high, scale);
  return e;
}

double SpectralDensity::smallest() const {
  double low = kInfinity;
  for (const Numbers& probe : nodes) low = std::min(low, probe.front());
  return low;
}

double SpectralDensity::largest() const {
  double high = -kInfinity;
  for (const Numbers& probe : nodes) high = std::max(high, probe.back());
  return high;
}

std::optional<double> SpectralDensity::lower_end() const {
  if (lower_bound) return lower_bound;
  const std::optional<double> distance = distance_beyond(*this, smallest(), -1);
  return distance ? std::optional(smallest() - *distance - node_rounding(*this)) : std::nullopt;
}

std::optional<double> SpectralDensity::upper_end() const {
  const std::optional<double> distance = distance_beyond(*this, largest(), 1);
  return distance ? std::optional(largest() + *distance + node_rounding(*this)) : std::nullopt;
}

}  // namespace hso
