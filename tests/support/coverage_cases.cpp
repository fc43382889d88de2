// SPDX-License-Identifier: Apache-2.0
#include "support/coverage_cases.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "hsogpu/data/dataset.hpp"
#include "hsogpu/linalg/analysis.hpp"
#include "hsogpu/linalg/operators.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "hsogpu/optim/hso.hpp"

namespace hso::test {

namespace {

using Numbers = std::vector<double>;

/// Rows of a random orthogonal matrix: normal vectors, orthonormalised one after the other in two passes.
std::vector<Numbers> random_basis(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  std::vector<Numbers> q(n, Numbers(n));
  for (std::size_t i = 0; i < n; ++i) {
    for (double& x : q[i]) x = normal(engine);
    for (int pass = 0; pass < 2; ++pass)
      for (std::size_t j = 0; j < i; ++j) {
        const double along = std::inner_product(q[i].begin(), q[i].end(), q[j].begin(), 0.0);
        for (std::size_t l = 0; l < n; ++l) q[i][l] -= along * q[j][l];
      }
    const double length = std::sqrt(std::inner_product(q[i].begin(), q[i].end(), q[i].begin(), 0.0));
    for (double& x : q[i]) x /= length;
  }
  return q;
}

CoverageCase rotated(std::string name, Numbers values, std::uint64_t seed) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  const std::vector<Numbers> q = random_basis(n, seed);
  CoverageCase c{std::move(name), static_cast<Index>(n), Numbers(n * n, 0), std::move(values), {}};
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j) c.matrix[i * n + j] += c.values[k] * q[k][i] * q[k][j];
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) c.matrix[j * n + i] = c.matrix[i * n + j];
  if (c.values.front() >= 0) c.lower_bound = 0;
  return c;
}

Numbers spectrum(Index n, double (*f)(Index i, double share)) {
  Numbers values;
  for (Index i = 0; i < n; ++i) values.push_back(f(i, static_cast<double>(i) / static_cast<double>(n - 1)));
  return values;
}

CoverageCase dense_case(const std::string& name, LinearOperator<double>& a, std::optional<double> lower_bound) {
  const Index n = a.dimension();
  Buffer<double> h(a.context(), n * n);
  a.to_dense(h.data());
  CoverageCase c{name, n, h.download(), {}, lower_bound};
  c.values = eigh(a.context(), h.view().reshaped({n, n}), {.vectors = false}).values;
  return c;
}

/// The density's curve states errors and no interval: Student's t of one and the other added.
Estimate curve_estimate(const SpectralDensity& d, const DensityCurve& curve, std::size_t i) {
  Estimate e;
  e.value = curve.value[i];
  const double reach = student_t(d.confidence, static_cast<double>(d.nodes.size() - 1)) * curve.standard_error[i] +
                       curve.quadrature_error;
  e.low = e.value - reach;
  e.high = e.value + reach;
  return e;
}

class Observer {
 public:
  Observer(const CoverageCase& c, std::uint64_t seed) : c_(c), seed_(seed) {}

  template <class F>
  double sum(const F& f) const {
    double total = 0;
    for (double x : c_.values) total += f(x);
    return total;
  }
  void add(const std::string& name, double truth, const Estimate& e) { out_.push_back({name, truth, e}); }

  template <class T>
  void traces(LinearOperator<T>& a, Index probes) {
    const auto add_trace = [&](const std::string& name, TraceMethod method, Index products) {
      add(name, sum([](double x) { return x; }),
          trace(a, {.method = method, .products = products, .seed = seed_, .positive_semidefinite = semidefinite()}));
    };
    add_trace("trace, hutchinson, a third of the probes", TraceMethod::hutchinson, probes / 3);
    add_trace("trace, hutchinson", TraceMethod::hutchinson, probes);
    add_trace("trace, hutch_plus_plus", TraceMethod::hutch_plus_plus, probes);
    add_trace("trace, hutch_plus_plus, three times the probes", TraceMethod::hutch_plus_plus, 3 * probes);
    add_trace("trace, xtrace", TraceMethod::xtrace, probes);
    add_trace("trace, xtrace, twice the probes", TraceMethod::xtrace, 2 * probes);
    if (semidefinite()) add_trace("trace, xnystrace", TraceMethod::xnystrace, probes);
    add("frobenius_squared", sum([](double x) { return x * x; }), frobenius_squared(a, probes, seed_));
    const DiagonalEstimate d = diagonal(a, {.probes = probes, .seed = seed_});
    Estimate entry;
    const std::size_t at = d.values.size() / 2;
    const double reach = student_t(0.99, static_cast<double>(probes - 1)) * d.standard_errors[at];
    entry.value = d.values[at];
    entry.low = entry.value - reach;
    entry.high = entry.value + reach;
    add("diagonal entry, Student's t", c_.matrix[at * d.values.size() + at], entry);
  }

  void functions(const SpectralDensity& d) {
    const double size = std::max(std::abs(c_.values.front()), std::abs(c_.values.back()));
    add("slq, trace", sum([](double x) { return x; }), d.trace());
    add("slq, frobenius_squared", sum([](double x) { return x * x; }), d.frobenius_squared());
    const auto gaussian = [size](double x) { return std::exp(-x * x / (0.02 * size * size)); };
    add("slq, tr exp(-A^2 / c), no signs", sum(gaussian), d.trace_of(gaussian));
    const auto exponential = [size](double x) { return std::exp(3 * x / size); };
    add("slq, tr exp(c A)", sum(exponential), d.trace_of(exponential, {.even = 1, .odd = 1}));
    const double median = c_.values[c_.values.size() / 2];
    for (const double threshold : {1.0001 * median, 0.1 * size})
      add(threshold == 0.1 * size ? "slq, count above a tenth of |A|" : "slq, count above the median",
          sum([&](double x) { return x > threshold ? 1.0 : 0.0; }), d.count_above(threshold));
    if (semidefinite()) {
      const auto root = [size](double x) { return std::sqrt(x + 1e-4 * size); };
      add("slq, tr sqrt(A + c I), no signs", sum(root), d.trace_of(root));
      const auto inverse = [size](double x) { return 1 / (x + 1e-3 * size); };
      add("slq, tr (A + c I)^-1", sum(inverse), d.trace_of(inverse, {.even = 1, .odd = -1}));
    }
    const DensityCurve curve = density_curve(d, 32), true_curve = density_curve_at(curve);
    for (const std::size_t i : {std::size_t{4}, std::size_t{8}, std::size_t{16}})
      add("slq, density curve, Student's t", true_curve.value[i], curve_estimate(d, curve, i));
  }

  /// As the program states it.
  template <class T>
  void log_determinants(LinearOperator<T>& a, const CoverageSizes& sizes) {
    const double size = std::max(std::abs(c_.values.front()), std::abs(c_.values.back()));
    for (const double share : {1e-1, 1e-3, 1e-7}) {
      const double delta = semidefinite() ? share * size : (1 + share) * std::max(-c_.values.front(), 0.0);
      SpectrumRequest r{.method = SpectrumMethod::slq, .probes = sizes.probes, .steps = sizes.steps, .seed = seed_};
      r.lower_bound = c_.lower_bound;
      r.damping = delta;
      r.most_steps = sizes.most_steps;
      SpectrumPlan plan;
      plan.method = SpectrumMethod::slq;
      const SpectrumAnalysis<T> s = analyze_spectrum(a, r, &plan);
      if (!s.log_determinant) continue;
      const std::string name =
          semidefinite() ? "slq, log det(A + c |A| I), c = " : "slq, log det(A - (1 + c) min I), c = ";
      add(name + (share == 1e-1   ? "1e-1"
                  : share == 1e-3 ? "1e-3"
                                  : "1e-7"),
          sum([&](double x) { return std::log(x + delta); }), *s.log_determinant);
    }
  }

  bool semidefinite() const { return c_.lower_bound && *c_.lower_bound >= 0; }
  std::vector<Observation> take() { return std::move(out_); }

 private:
  /// Of the true values on the grid of `like`.
  DensityCurve density_curve_at(const DensityCurve& like) const {
    DensityCurve out = like;
    for (std::size_t i = 0; i < like.x.size(); ++i)
      out.value[i] = sum([&](double x) {
                       const double d = (like.x[i] - x) / like.sigma;
                       return std::exp(-0.5 * d * d) / (like.sigma * std::sqrt(2 * M_PI));
                     }) /
                     static_cast<double>(c_.n);
    return out;
  }

  const CoverageCase& c_;
  std::uint64_t seed_;
  std::vector<Observation> out_;
};

}  // namespace

std::vector<CoverageCase> coverage_cases(Index n) {
  const auto flat = [](Index, double share) { return 0.5 + 0.5 * share; };
  const auto clustered = [](Index i, double share) {
    return std::pow(10.0, -2.0 * static_cast<double>(i % 3)) + 1e-8 * share;
  };
  const auto log_spaced = [](Index, double share) { return std::pow(10.0, -8 * share); };
  const auto low_rank = [](Index i, double share) { return i < 10 ? static_cast<double>(1 + i) : 1e-3 * share; };
  const auto outlier = [](Index i, double share) { return i == 0 ? 10.0 : 1e-3 * share; };
  const auto indefinite = [](Index, double share) { return -1 + 2.1 * share; };
  return {rotated("flat", spectrum(n, flat), 1),
          rotated("clustered", spectrum(n, clustered), 2),
          rotated("log-spaced over 8 decades", spectrum(n, log_spaced), 3),
          rotated("rank 10 and noise", spectrum(n, low_rank), 4),
          rotated("rank 1 and noise", spectrum(n, outlier), 5),
          rotated("indefinite", spectrum(n, indefinite), 6)};
}

std::vector<CoverageCase> trained_network_cases(Index hidden, Index steps) {
  const auto context = Context::create("cpu");
  DataSplit digits = load_data("digits", 0.2, 0);
  Standardizer::fit(digits.train, Scaling::unit_range).apply(digits.train);
  const auto network =
      build_network<double>(parse_model("mlp:64-" + std::to_string(hidden) + "-10:tanh"), LossKind::cross_entropy);
  const DeviceData<double> train(*context, network, digits.train);
  NetworkObjective<double> loss(*context, network, train);
  Buffer<double> theta(*context, initial_parameters(network.parameters, Initialization::glorot, 0));
  const auto optimizer = make_optimizer<double>("hso", {{"sign", "abs"}, {"delta", "0.01"}});
  for (Index i = 0; i < steps; ++i) optimizer->step(loss, theta.data());
  const auto hessian = loss.curvature(theta.data(), Curvature::hessian),
             ggn = loss.curvature(theta.data(), Curvature::ggn);
  return {dense_case("Hessian of a trained network", *hessian, std::nullopt),
          dense_case("Gauss-Newton matrix of a trained network", *ggn, 0.0)};
}

template <class T>
std::vector<Observation> observe(LinearOperator<T>& a, const CoverageCase& c, const CoverageSizes& sizes,
                                 std::uint64_t seed) {
  Observer observer(c, seed);
  observer.traces(a, sizes.probes);
  DensityOptions o{.probes = sizes.probes, .steps = sizes.steps, .seed = seed};
  o.lower_bound = c.lower_bound;
  observer.functions(spectral_density(a, o));
  observer.log_determinants(a, sizes);
  return observer.take();
}

int most_misses(int trials, double confidence, double chance) {
  const double p = 1 - confidence;
  double term = std::pow(1 - p, trials), beyond = 1 - term;
  int misses = 0;
  for (; beyond > chance; ++misses) {
    term *= static_cast<double>(trials - misses) / (misses + 1) * p / (1 - p);
    beyond -= term;
  }
  return misses;
}

template std::vector<Observation> observe(LinearOperator<float>&, const CoverageCase&, const CoverageSizes&,
                                          std::uint64_t);
template std::vector<Observation> observe(LinearOperator<double>&, const CoverageCase&, const CoverageSizes&,
                                          std::uint64_t);

}  // namespace hso::test
