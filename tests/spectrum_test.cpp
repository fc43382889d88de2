// SPDX-License-Identifier: Apache-2.0
//
// Lanczos pairs, densities and traces against matrices whose spectra are known beforehand.
#include "hsogpu/spectrum.hpp"
#include "linalg/host_eigen.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "hsogpu/error.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/messages.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

class LanczosTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, LanczosTest, testing::ValuesIn(contexts()), device_word);
class StochasticTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, StochasticTest, testing::ValuesIn(contexts()), device_word);

template <class T>
constexpr double kEps = static_cast<double>(std::numeric_limits<T>::epsilon());

/// Many small eigenvalues of both signs around zero and a few large ones, as Hessians of networks have.
SymmetricCase network_like(Index n, std::uint64_t seed) {
  std::vector<double> values;
  for (Index i = 0; i < n; ++i) values.push_back(1e-3 * std::sin(static_cast<double>(i)));
  const double outliers[] = {-0.5, 1, 1.5, 2, 3, 5, 8};
  for (std::size_t i = 0; i < 7; ++i) values[i] = outliers[i];
  std::sort(values.begin(), values.end());
  return with_spectrum("network", values, seed);
}

std::vector<double> expected_values(const std::vector<double>& all, Index count, SpectrumEnd which) {
  std::vector<double> v = all;
  const auto c = static_cast<std::ptrdiff_t>(count);
  if (which == SpectrumEnd::magnitude) {
    std::sort(v.begin(), v.end(), [](double a, double b) { return std::abs(a) > std::abs(b); });
    v.resize(static_cast<std::size_t>(count));
    std::sort(v.begin(), v.end());
    return v;
  }
  const std::ptrdiff_t low = which == SpectrumEnd::smallest ? c : which == SpectrumEnd::both ? c / 2 : 0;
  std::vector<double> out(v.begin(), v.begin() + low);
  out.insert(out.end(), v.end() - (c - low), v.end());
  return out;
}

/// Values within their residual bounds, residuals as promised, vectors orthonormal.
template <class T>
void expect_pairs(DenseOperator<T>& a, EigenPairs<T>& pairs, const std::vector<double>& known, double size) {
  const Index n = a.dimension(), count = static_cast<Index>(pairs.values.size());
  ASSERT_EQ(count, static_cast<Index>(known.size()));
  const double rounding = 30 * static_cast<double>(n) * kEps<T> * size;
  for (std::size_t i = 0; i < known.size(); ++i)
    EXPECT_NEAR(pairs.values[i], known[i], pairs.residuals[i] + rounding) << i;
  const Numbers v = widen(pairs.vectors.download());
  EXPECT_LE(orthogonality(v, n, count, kEps<T>), 30);
  for (Index i = 0; i < count; ++i) {
    const Numbers one(v.begin() + i * n, v.begin() + (i + 1) * n);
    const Numbers av = multiply(a.host(), one, n, n, 1);
    double error = 0;
    for (std::size_t j = 0; j < one.size(); ++j)
      error += std::pow(av[j] - pairs.values[static_cast<std::size_t>(i)] * one[j], 2);
    EXPECT_LE(std::sqrt(error), pairs.residuals[static_cast<std::size_t>(i)] + rounding) << i;
  }
}

TEST_P(LanczosTest, FindsEveryEndOfTheSpectrum) {
  const SymmetricCase c = network_like(150, 1);
  for_types([&]<class T>() {
    DenseOperator<T> a(context(), c.n, c.matrix);
    for (const std::string& name : spectrum_end_names())
      for (Index block : {1, 3}) {
        SCOPED_TRACE(name + ", block " + std::to_string(block));
        const SpectrumEnd which = parse_spectrum_end(name);
        const Index count = which == SpectrumEnd::largest ? 6 : which == SpectrumEnd::magnitude ? 7 : 1;
        auto pairs = lanczos(a, {.count = count, .which = which, .block = block, .basis = 60});
        EXPECT_TRUE(pairs.all_converged()) << pairs.stop;
        expect_pairs(a, pairs, expected_values(c.values, count, which), 8);
      }
  });
}

TEST_P(LanczosTest, RestartsConvergeInASmallBasis) {
  const SymmetricCase c = network_like(200, 2);
  DenseOperator<double> a(context(), c.n, c.matrix);
  auto pairs = lanczos(a, {.count = 6, .basis = 10, .tolerance = 1e-10});
  EXPECT_EQ(pairs.stop, "converged");
  EXPECT_GT(pairs.restarts, 0);
  expect_pairs(a, pairs, expected_values(c.values, 6, SpectrumEnd::largest), 8);
  EXPECT_EQ(pairs.products, a.products);
}

/// A basis of n vectors spans everything: all eigenvalues to rounding, multiple ones included.
TEST_P(LanczosTest, TheWholeSpaceIsExact) {
  for (Index n : {1, 2, 3, 5, 24})
    for (const SymmetricCase& c : symmetric_cases(n, 1e-30, 1e30)) {
      if (c.name.find("flow") != std::string::npos) continue;  // under- and overflow: scale first
      for (Index block : {Index{1}, std::min<Index>(n, 4)}) {
        SCOPED_TRACE(c.name + ", n = " + std::to_string(n) + ", block " + std::to_string(block));
        DenseOperator<double> a(context(), n, c.matrix);
        auto pairs =
            lanczos(a, {.count = n, .which = SpectrumEnd::both, .block = block, .basis = n, .tolerance = 1e-30});
        EXPECT_TRUE(pairs.all_converged()) << pairs.stop;
        expect_pairs(a, pairs, c.values, largest(c.values));
      }
    }
}

TEST_P(LanczosTest, BlocksSeeMultiplicity) {
  std::vector<double> values(60, 0.0);
  for (std::size_t i = 0; i < 50; ++i) values[i] = 0.01 * static_cast<double>(i);
  for (std::size_t i = 50; i < 60; ++i) values[i] = i < 57 ? 1 : 2;
  const SymmetricCase c = with_spectrum("multiple", values, 3);
  DenseOperator<double> a(context(), c.n, c.matrix);
  auto pairs = lanczos(a, {.count = 3, .block = 3, .basis = 30});
  EXPECT_EQ(pairs.stop, "converged");
  for (double v : pairs.values) EXPECT_NEAR(v, 2, 1e-12);
}

TEST_P(LanczosTest, SaysWhatItKnowsWhenItDoesNotConverge) {
  DenseOperator<double> a(context(), 300, random_symmetric(300, 4));
  const auto pairs = lanczos(a, {.count = 20, .basis = 30, .max_products = 60});
  EXPECT_EQ(pairs.stop, "max_products");
  EXPECT_FALSE(pairs.all_converged());
  EXPECT_LT(pairs.converged, 20);
  ASSERT_EQ(pairs.values.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_TRUE(std::isfinite(pairs.values[i]) && pairs.residuals[i] >= 0);
  const auto stopped = lanczos(a, {.count = 5, .interrupted = [] { return true; }});
  EXPECT_EQ(stopped.stop, "interrupted");
}

TEST_P(LanczosTest, ANonFiniteProductIsReported) {
  Numbers broken = random_symmetric(20, 5);
  broken[7] = std::numeric_limits<double>::infinity();
  DenseOperator<double> a(context(), 20, broken);
  EXPECT_EQ(lanczos(a, {.count = 2}).stop, "not_finite");
  EXPECT_EQ(spectral_density(a, {.probes = 2, .steps = 5}).stop, "not_finite");
}

TEST_P(LanczosTest, ImpossibleRequestsAreRefused) {
  DenseOperator<double> a(context(), 5, random_symmetric(5, 6));
  EXPECT_TRUE(contains(message_of<InputError>([&] { lanczos(a, {.count = 6}); }), "6 eigenvalues", "1 to 5"));
  EXPECT_THROW(lanczos(a, {.count = 0}), InputError);
  EXPECT_THROW(lanczos(a, {.count = 1, .block = 6}), InputError);
  DenseOperator<double> b(context(), 50, random_symmetric(50, 6));
  EXPECT_TRUE(contains(message_of<InputError>([&] { lanczos(b, {.count = 10, .basis = 11}); }), "at least 13"));
  EXPECT_THROW(parse_spectrum_end("top"), UsageError);
}

TEST_P(LanczosTest, FindsWhatIsNearAShift) {
  for_types([&]<class T>() {
    const Index n = 120;
    Numbers values;
    for (Index i = 0; i < n; ++i) values.push_back(static_cast<double>(i) - 40.3);  // -0.3 and 0.7 around zero
    const SymmetricCase c = with_spectrum("evenly spaced", values, 3);
    DenseOperator<T> a(context(), n, c.matrix);
    const double tolerance = sizeof(T) == 8 ? 1e-8 : 1e-4;
    const auto near = eigenpairs_near(a, 0.0, {.count = 3, .tolerance = tolerance});
    ASSERT_TRUE(near.all_converged()) << near.stop;
    for (Index i = 0; i < 3; ++i)
      EXPECT_NEAR(near.values[static_cast<std::size_t>(i)], static_cast<double>(i) - 1.3, 10 * tolerance * 79);
    for (double r : near.residuals) EXPECT_LE(r, tolerance * near.scale);
    const auto inside = eigenpairs_near(a, 10.6, {.count = 1, .tolerance = tolerance});
    EXPECT_NEAR(inside.values.at(0), 10.7, 10 * tolerance * 79);
    EXPECT_EQ(inside.products, a.products - near.products);
  });
}

TEST_P(LanczosTest, PowerIterationFindsTheLargest) {
  const SymmetricCase c = network_like(80, 7);
  for_types([&]<class T>() {
    DenseOperator<T> a(context(), c.n, c.matrix);
    const PowerResult r = power_iteration(a, 1e-5);
    EXPECT_TRUE(r.converged);
    EXPECT_NEAR(r.norm, 8, 1e-3);
    EXPECT_LE(r.norm, 8 * (1 + 100 * kEps<T>));
    EXPECT_NEAR(r.value, 8, 1e-2);
    EXPECT_LE(std::abs(r.value - 8), r.residual + 1e-4);
  });
}

TEST(Estimates, StudentsQuantiles) {
  EXPECT_NEAR(student_t(0.99, 1), 63.65674116287399, 1e-9);
  EXPECT_NEAR(student_t(0.99, 2), std::sqrt(2 * 0.9801 / 0.0199), 1e-12);  // P(|t| > q) = 1 - q / sqrt(2 + q^2)
  EXPECT_NEAR(student_t(0.99, 9), 3.249836, 1e-6);
  EXPECT_NEAR(student_t(0.95, 29), 2.045229642132703, 1e-12);
  EXPECT_NEAR(student_t(0.95, 1e7), 1.959964, 1e-5);
  const Estimate e = mean_of(std::vector<double>{1, 2, 3, 6}, 5, 0.95);
  EXPECT_EQ(e.value, 3);
  EXPECT_NEAR(e.standard_error, std::sqrt(14.0 / 3 / 4), 1e-15);
  EXPECT_NEAR(e.high - e.value, 3.182446305284263 * e.standard_error, 1e-12);
  EXPECT_EQ(e.seed, 5u);
  EXPECT_THROW(mean_of(std::vector<double>{1}, 0), InputError);
  EXPECT_THROW(student_t(1, 3), UsageError);
}

/// z'Dz of a Rademacher z is tr D, so every probe is exact; so is quadrature with as many steps as dimensions.
TEST_P(StochasticTest, DiagonalMatricesHaveNoVariance) {
  for_types([&]<class T>() {
    const Numbers d{3, -1, 0.5, 4, 2, -2.5, 1, 1.5};
    DiagonalOperator<T> a(context(), Span<const T>(narrow<T>(d)));
    const Estimate t = trace(a, {.products = 40});
    EXPECT_NEAR(t.value, 8.5, 100 * kEps<T>);
    EXPECT_LE(t.standard_error, 100 * kEps<T>);
    const SpectralDensity s = spectral_density(a, {.probes = 4, .steps = 20, .lanes = 3});
    EXPECT_EQ(s.nodes.size(), 4u);
    EXPECT_NEAR(s.trace().value, 8.5, 200 * kEps<T>);
    EXPECT_NEAR(s.frobenius_squared().value, 9 + 1 + 0.25 + 16 + 4 + 6.25 + 1 + 2.25, 500 * kEps<T>);
    EXPECT_NEAR(s.count_above(0).value, 6, 100 * kEps<T>);
    double log_determinant = 0;
    for (double x : d) log_determinant += std::log(x + 3);
    EXPECT_NEAR(s.log_determinant(3).value, log_determinant, 1000 * kEps<T>);
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
    return trace(a, {.method = TraceMethod::hutch_plus_plus, .products = 60, .seed = s});
  });
  const Coverage x = coverage(100, first, [&](std::uint64_t s) {
    return trace(a, {.method = TraceMethod::xtrace, .products = 40, .seed = s});
  });
  EXPECT_LE(std::abs(x.bias), 4 * x.spread / 10) << "xtrace is unbiased; its error bar is no bound";
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
