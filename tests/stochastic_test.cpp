// SPDX-License-Identifier: Apache-2.0
//
// Densities, traces and their error bars from random probes, against matrices whose spectra are known beforehand.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "linalg/host_eigen.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/messages.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

class StochasticTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, StochasticTest, testing::ValuesIn(contexts()), device_word);

template <class T>
constexpr double kEps = static_cast<double>(std::numeric_limits<T>::epsilon());

TEST(Estimates, StudentsQuantiles) {
  EXPECT_NEAR(student_t(0.99, 1), 63.65674116287399, 1e-9);
  EXPECT_NEAR(student_t(0.99, 2), std::sqrt(2 * 0.9801 / 0.0199), 1e-12);  // P(|t| > q) = 1 - q / sqrt(2 + q^2)
  EXPECT_NEAR(student_t(0.99, 9), 3.249836, 1e-6);
  EXPECT_NEAR(student_t(0.95, 29), 2.045229642132703, 1e-12);
  EXPECT_NEAR(student_t(0.95, 1e7), 1.959964, 1e-5);
  std::vector<double> symmetric;
  for (int i = 0; i < 15; ++i) symmetric.push_back(i - 4);
  const Estimate e = mean_of(symmetric, 5, 0.95);
  EXPECT_EQ(e.value, 3);
  EXPECT_NEAR(e.standard_error, std::sqrt(280.0 / 14 / 15), 1e-15);
  EXPECT_NEAR(e.value - e.low, 1.15 * 2.144786687917804 * e.standard_error, 1e-12);
  EXPECT_NEAR(e.high - e.value, 1.15 * 2.144786687917804 * e.standard_error, 1e-12);
  EXPECT_EQ(e.seed, 5u);
  EXPECT_THROW(mean_of(std::vector<double>{1}, 0), InputError);
  EXPECT_THROW(student_t(1, 3), UsageError);
}

/// Hall's cubic at the end of the interval that skewed samples lengthen, and the quantile of t at the other.
TEST(Estimates, SkewedSamplesLengthenOneSide) {
  const std::vector<double> samples{0, 0.1, 0.1, 0.3, 0.2, 4, 0.4, 1.1, 0, 0.1, 0.7, 0.2, 0.2, 0.5};
  const double m = 14, t = student_t(0.99, m - 1);
  const Estimate e = mean_of(samples, 0);
  double second = 0, third = 0;
  for (double x : samples) {
    second += std::pow(x - e.value, 2);
    third += std::pow(x - e.value, 3);
  }
  const double deviation = std::sqrt(second / (m - 1)),
               skewness = m / (m - 1) / (m - 2) * third / std::pow(deviation, 3);
  const double a = skewness / (3 * std::sqrt(m)), T = -(e.high - e.value) / (1.15 * e.standard_error);
  EXPECT_NEAR(T + a * T * T + a * a * T * T * T / 3 + a / 2, -t, 1e-9);
  EXPECT_LT(T, -t);
  EXPECT_NEAR((e.value - e.low) / (1.15 * e.standard_error), t, 1e-12);
  std::vector<double> mirrored;
  for (double x : samples) mirrored.push_back(-x);
  EXPECT_NEAR(mean_of(mirrored, 0).low, -e.high, 1e-12);
}

/// z'Dz of a Rademacher z is tr D, so every probe is exact; so is quadrature with as many steps as dimensions.
TEST_P(StochasticTest, DiagonalMatricesHaveNoVariance) {
  for_types([&]<class T>() {
    Numbers d;
    for (int copy = 0; copy < 8; ++copy)
      for (double v : {3.0, -1.0, 0.5, 4.0, 2.0, -2.5, 1.0, 1.5}) d.push_back(v);
    DiagonalOperator<T> a(context(), Span<const T>(narrow<T>(d)));
    const Estimate t = trace(a, {.products = 40});
    EXPECT_NEAR(t.value, 8 * 8.5, 800 * kEps<T>);
    EXPECT_LE(t.standard_error, 800 * kEps<T>);
    const SpectralDensity s = spectral_density(a, {.probes = 30, .steps = 20, .lanes = 7});
    EXPECT_EQ(s.nodes.size(), 30u);
    EXPECT_NEAR(s.trace().value, 8 * 8.5, 1600 * kEps<T>);
    EXPECT_NEAR(s.frobenius_squared().value, 8 * (9 + 1 + 0.25 + 16 + 4 + 6.25 + 1 + 2.25), 4000 * kEps<T>);
    EXPECT_NEAR(s.count_above(0).value, 48, 800 * kEps<T>);
    double log_determinant = 0;
    for (double x : d) log_determinant += std::log(x + 3);
    EXPECT_NEAR(s.log_determinant(3).value, log_determinant, 8000 * kEps<T>);
    EXPECT_NEAR(s.smallest(), -2.5, 100 * kEps<T>);
    EXPECT_NEAR(s.largest(), 4, 100 * kEps<T>);
    EXPECT_THROW(s.log_determinant(2), InputError);
  });
}

/// What Hutch++ and XTrace sketch they have exactly.
TEST_P(StochasticTest, LowRankTracesAreExact) {
  std::vector<double> values(80, 0.0);
  for (std::size_t i = 70; i < 80; ++i) values[i] = static_cast<double>(i) - 74.5;
  std::sort(values.begin(), values.end());
  const SymmetricCase c = with_spectrum("rank 10", values, 8);
  const double expected = std::accumulate(values.begin(), values.end(), 0.0);
  DenseOperator<double> a(context(), c.n, c.matrix);
  for (TraceMethod method : {TraceMethod::hutch_plus_plus, TraceMethod::xtrace}) {
    const Estimate t = trace(a, {.method = method, .products = 60});
    EXPECT_NEAR(t.value, expected, 1e-10) << trace_method_names()[static_cast<std::size_t>(method)];
    EXPECT_LE(t.standard_error, 1e-10);
  }
}

/// As many probes as dimensions, singular or not, and a single dimension.
TEST_P(StochasticTest, XTraceOfASmallMatrixIsExact) {
  for (const Numbers& d : {Numbers{1, 0, -2}, Numbers{3}, Numbers{0, 0}}) {
    DiagonalOperator<double> a(context(), Span<const double>(d));
    const Estimate t = trace(a, {.method = TraceMethod::xtrace, .products = 30});
    EXPECT_NEAR(t.value, std::accumulate(d.begin(), d.end(), 0.0), 1e-13);
    EXPECT_EQ(t.standard_error, 0);
  }
}

TEST_P(StochasticTest, AZeroMatrixHasADensity) {
  DiagonalOperator<float> zero(context(), Span<const float>(std::vector<float>(5)));
  const DensityCurve curve = density_curve(spectral_density(zero, {.probes = 2, .steps = 5}));
  for (std::size_t i = 0; i < curve.x.size(); ++i) ASSERT_TRUE(std::isfinite(curve.value[i] + curve.standard_error[i]));
}

struct Coverage {
  int inside = 0;
  double bias = 0;
  double spread = 0, stated = 0;  ///< standard deviation of the values, and the mean of what was stated
};

Coverage coverage(int seeds, double truth, const std::function<Estimate(std::uint64_t)>& estimate) {
  Coverage out;
  std::vector<double> values;
  for (int seed = 0; seed < seeds; ++seed) {
    const Estimate e = estimate(static_cast<std::uint64_t>(seed));
    out.inside += e.low <= truth && truth <= e.high;
    out.stated += e.standard_error / seeds;
    values.push_back(e.value);
  }
  const Estimate all = mean_of(values, 0);
  out.bias = all.value - truth;
  out.spread = all.standard_error * std::sqrt(static_cast<double>(seeds));
  return out;
}

/// 99 % intervals of 100 seeds: fewer than 95 hits would be an event of probability 1e-3. The standard deviation of
/// 100 values is itself uncertain by 7 %.
TEST_P(StochasticTest, IntervalsCoverAndErrorBarsAreRight) {
  const SymmetricCase c = network_like(50, 9);
  DenseOperator<double> a(context(), c.n, c.matrix);
  double first = 0, second = 0;
  for (double x : c.values) {
    first += x;
    second += x * x;
  }
  const auto expect = [&](const char* what, double truth, const std::function<Estimate(std::uint64_t)>& f) {
    const Coverage r = coverage(100, truth, f);
    EXPECT_GE(r.inside, 95) << what;
    EXPECT_NEAR(r.stated / r.spread, 1, 0.2) << what;
  };
  expect("hutchinson", first, [&](std::uint64_t s) { return trace(a, {.products = 30, .seed = s}); });
  expect("hutch++", first, [&](std::uint64_t s) {
    return trace(a, {.method = TraceMethod::hutch_plus_plus, .products = 45, .seed = s});
  });
  const Coverage x = coverage(100, first, [&](std::uint64_t s) {
    return trace(a, {.method = TraceMethod::xtrace, .products = 40, .seed = s});
  });
  EXPECT_GE(x.inside, 95) << "xtrace";
  EXPECT_LE(std::abs(x.bias), 4 * x.spread / 10) << "xtrace is unbiased";
  EXPECT_GE(x.stated, 0.9 * x.spread) << "the jackknife states at least the variance";
  expect("frobenius", second, [&](std::uint64_t s) { return frobenius_squared(a, 30, s); });
  expect("density trace", first,
         [&](std::uint64_t s) { return spectral_density(a, {.probes = 30, .steps = 12, .seed = s}).trace(); });
  expect("density second moment", second, [&](std::uint64_t s) {
    return spectral_density(a, {.probes = 30, .steps = 12, .seed = s}).frobenius_squared();
  });
}

TEST_P(StochasticTest, XTraceBeatsHutchinsonOnADecayingSpectrum) {
  std::vector<double> values;
  for (int i = 0; i < 150; ++i) values.push_back(std::pow(0.7, i));
  const double truth = std::accumulate(values.begin(), values.end(), 0.0);
  std::sort(values.begin(), values.end());
  const SymmetricCase c = with_spectrum("decaying", values, 10);
  DenseOperator<double> a(context(), c.n, c.matrix);
  const auto rms = [&](TraceMethod method) {
    double sum = 0;
    for (std::uint64_t s = 0; s < 20; ++s)
      sum += std::pow(trace(a, {.method = method, .products = 60, .seed = s}).value - truth, 2) / 20;
    return std::sqrt(sum);
  };
  EXPECT_LT(rms(TraceMethod::xtrace), 0.01 * rms(TraceMethod::hutchinson));
}

TEST_P(StochasticTest, DensityCurvesIntegrateToOne) {
  const SymmetricCase c = network_like(100, 11);
  DenseOperator<float> a(context(), c.n, c.matrix);
  const DensityCurve curve = density_curve(spectral_density(a, {.probes = 5, .steps = 30}), 2000);
  double integral = 0;
  for (std::size_t i = 1; i < curve.x.size(); ++i)
    integral += 0.5 * (curve.value[i] + curve.value[i - 1]) * (curve.x[i] - curve.x[i - 1]);
  EXPECT_NEAR(integral, 1, 1e-5);
}

/// Rounding makes copies of eigenvalues; the quadrature does not care.
TEST_P(StochasticTest, ReorthogonalizationChangesTheNodesAndNotTheSums) {
  const SymmetricCase c = network_like(300, 13);
  for_types([&]<class T>() {
    DenseOperator<T> a(context(), c.n, c.matrix);
    const SpectralDensity local = spectral_density(a, {.probes = 3, .steps = 80, .seed = 1});
    const SpectralDensity full = spectral_density(a, {.probes = 3, .steps = 80, .seed = 1, .reorthogonalize = true});
    const double size = 300 * 8 * 1000 * kEps<T>;
    EXPECT_NEAR(local.trace().value, full.trace().value, size);
    EXPECT_NEAR(local.frobenius_squared().value, full.frobenius_squared().value, 8 * size);
    EXPECT_NEAR(local.log_determinant(1).value, full.log_determinant(1).value, size);
    EXPECT_NEAR(local.largest(), 8, 100 * kEps<T> * 8);
  });
}

/// Nodes and weights against LAPACK's eigenvectors of the same matrix: random, graded, with zero couplings, zero.
TEST(GaussRule, IsTheEigenvaluesAndSquaredFirstComponents) {
  for (const std::size_t m : {1u, 2u, 7u, 80u})
    for (int kind = 0; kind < 4; ++kind) {
      Numbers d = random_numbers(m, m), e = random_numbers(m - 1, m + 1);
      for (std::size_t i = 0; i < m; ++i) {
        if (kind == 1) d[i] *= std::pow(10.0, -static_cast<double>(i) / 4);
        if (kind == 1 && i + 1 < m) e[i] *= std::pow(10.0, -static_cast<double>(i) / 4);
        if (kind == 2 && i + 1 < m && i % 3 == 1) e[i] = 0;
        if (kind == 3) d[i] = 0;
        if (kind == 3 && i + 1 < m) e[i] = 0;
      }
      Numbers full(m * m, 0);
      for (std::size_t i = 0; i < m; ++i) {
        full[i * m + i] = d[i];
        if (i + 1 < m) full[i * m + i + 1] = full[(i + 1) * m + i] = e[i];
      }
      const detail::HostEigen expected = detail::host_eigh(full, static_cast<Index>(m));
      const detail::GaussRule rule = detail::host_gauss_rule(d, e);
      ASSERT_EQ(rule.nodes.size(), m);
      const double rounding = static_cast<double>(m) * std::numeric_limits<double>::epsilon() * 10;
      double moment = 0, first = 0, second = 0;
      for (std::size_t i = 0; i < m; ++i) {
        EXPECT_NEAR(rule.nodes[i], expected.values[i], rounding * 3) << m << " kind " << kind;
        moment += rule.weights[i];
        first += rule.weights[i] * rule.nodes[i];
        second += rule.weights[i] * rule.nodes[i] * rule.nodes[i];
        if (kind == 0) {
          EXPECT_NEAR(rule.weights[i], std::pow(expected.vectors[i * m], 2), 1e-10) << m;
        }
      }
      EXPECT_NEAR(moment, 1, rounding);
      EXPECT_NEAR(first, d[0], rounding);  // e_1' A e_1
      EXPECT_NEAR(second, d[0] * d[0] + (m > 1 ? e[0] * e[0] : 0), rounding * 3);
    }
}

/// Groups of lanes are a matter of memory: they change nothing but rounding.
TEST_P(StochasticTest, LanesDoNotChangeTheResult) {
  const SymmetricCase c = network_like(90, 12);
  DenseOperator<double> a(context(), c.n, c.matrix);
  const auto value = [&](Index lanes) {
    return spectral_density(a, {.probes = 7, .steps = 20, .seed = 3, .lanes = lanes}).trace().value;
  };
  EXPECT_NEAR(value(1), value(7), 1e-10);
  EXPECT_NEAR(value(1), value(4), 1e-10);
}

}  // namespace
}  // namespace hso::test
