// SPDX-License-Identifier: Apache-2.0
//
// Gauss-Radau rules and what they bound. Rademacher probes of a diagonal matrix have no spread, v'f(D)v = tr f(D) / n:
// what an interval of theirs holds is the quadrature alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/analysis.hpp"
#include "linalg/host_eigen.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/messages.hpp"

namespace hso::test {
namespace {

class QuadratureTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, QuadratureTest, testing::ValuesIn(contexts()), device_word);

constexpr double kEps = std::numeric_limits<double>::epsilon();

double moment(const detail::GaussRule& rule, int power) {
  double sum = 0;
  for (std::size_t i = 0; i < rule.nodes.size(); ++i) sum += rule.weights[i] * std::pow(rule.nodes[i], power);
  return sum;
}

/// Moments to degree 2m - 2, the node, and its weight, the largest mass there can be.
TEST(RadauRule, HasTheMomentsTheNodeAndTheLargestMass) {
  for (const std::size_t m : {1u, 2u, 5u, 9u}) {
    Numbers d = random_numbers(m, m), e = random_numbers(m - 1, m + 1);
    for (double& x : e) x = 0.2 + std::abs(x);
    const detail::GaussRule gauss = detail::host_gauss_rule(d, e);
    for (const double at : {gauss.nodes.front() - 0.5, gauss.nodes.back() + 2.0, 0.137}) {
      const detail::GaussRule rule = detail::host_radau_rule(d, e, at);
      std::size_t own = 0;
      for (std::size_t i = 0; i < m; ++i)
        if (std::abs(rule.nodes[i] - at) < std::abs(rule.nodes[own] - at)) own = i;
      double size = 1;
      for (double x : rule.nodes) size = std::max(size, std::abs(x));
      EXPECT_NEAR(rule.nodes[own], at, 100 * kEps * size) << m;
      EXPECT_NEAR(std::log(rule.weights[own]), detail::log_largest_mass(d, e, at), 1e-8) << m;
      for (int power = 0; power <= 2 * static_cast<int>(m) - 2; ++power)
        EXPECT_NEAR(moment(rule, power), moment(gauss, power), 1e3 * kEps * std::pow(size, power)) << m << " " << power;
    }
  }
  Numbers many(600, 0.0), off(599, 0.5);  // Chebyshev's polynomials at 3 grow to 1e459
  EXPECT_NEAR(detail::log_largest_mass(many, off, 3), -2 * 600 * std::log(3 + std::sqrt(8.0)), 10);
}

Numbers log_spaced(std::size_t n, double decades) {
  Numbers d;
  for (std::size_t i = 0; i < n; ++i)
    d.push_back(std::pow(10.0, -decades * static_cast<double>(i) / static_cast<double>(n - 1)));
  return d;
}

double log_determinant(const Numbers& d, double delta) {
  double sum = 0;
  for (double x : d) sum += std::log(x + delta);
  return sum;
}

/// A log-spaced bulk, which Lanczos resolves slowly: the bounds hold at any number of steps and come closer with more.
TEST_P(QuadratureTest, LogDeterminantsAreBoundedFromBothSides) {
  for_types([&]<class T>() {
    const Numbers d = log_spaced(400, 5);
    DiagonalOperator<T> a(context(), Span<const T>(narrow<T>(d)));
    for (const double delta : {1e-3, 1e-5, 1e-7}) {
      const double truth = log_determinant(d, delta);
      double before = std::numeric_limits<double>::infinity();
      for (const Index steps : {5, 10, 20, 40, 80}) {
        DensityOptions o{.probes = 30, .steps = steps};
        o.lower_bound = 0;
        const Estimate e = spectral_density(a, o).log_determinant(delta);
        EXPECT_TRUE(e.quadrature_bounded);
        EXPECT_LE(e.low, truth) << delta << " " << steps;
        EXPECT_GE(e.high, truth) << delta << " " << steps;
        EXPECT_LE(std::abs(e.value - truth), e.quadrature_error + e.rounding_error) << delta << " " << steps;
        EXPECT_LT(e.quadrature_error, before) << delta << " " << steps;
        before = e.quadrature_error;
      }
    }
  });
}

/// The lower end is not known: it is found from the probes, and the damping need only exceed what it is.
TEST_P(QuadratureTest, EndsThatAreNotKnownAreFound) {
  Numbers d = log_spaced(300, 3);
  for (std::size_t i = 0; i < d.size(); ++i) d[i] *= i % 3 == 0 ? -0.7 : 1;
  const auto [low, high] = std::minmax_element(d.begin(), d.end());
  DiagonalOperator<double> a(context(), Span<const double>(d));
  const SpectralDensity density = spectral_density(a, {.probes = 30, .steps = 20});
  ASSERT_TRUE(density.lower_end() && density.upper_end());
  EXPECT_LE(*density.lower_end(), *low);
  EXPECT_GE(*density.upper_end(), *high);
  EXPECT_GE(*density.lower_end(), *low - 0.2);
  EXPECT_LE(*density.upper_end(), *high + 0.2);
  const Estimate e = density.log_determinant(1.2);
  EXPECT_TRUE(e.quadrature_bounded);
  EXPECT_LE(e.low, log_determinant(d, 1.2));
  EXPECT_GE(e.high, log_determinant(d, 1.2));
  const Estimate open = density.log_determinant(0.7 + 1e-9);
  EXPECT_FALSE(open.quadrature_bounded);
  EXPECT_EQ(open.low, -std::numeric_limits<double>::infinity());
  EXPECT_GE(open.high, log_determinant(d, 0.7 + 1e-9));
}

TEST_P(QuadratureTest, CountsAreBounded) {
  const Numbers d = log_spaced(200, 2);
  DiagonalOperator<double> a(context(), Span<const double>(d));
  const SpectralDensity density = spectral_density(a, {.probes = 30, .steps = 12});
  for (const double threshold : {-1.0, 0.011, 0.1, 0.5, 0.99, 2.0}) {
    const auto truth = static_cast<double>(std::count_if(d.begin(), d.end(), [&](double x) { return x > threshold; }));
    const Estimate e = density.count_above(threshold);
    EXPECT_LE(e.low, truth + 1e-9) << threshold;
    EXPECT_GE(e.high, truth - 1e-9) << threshold;
  }
}

/// Steps are added while the quadrature's error exceeds the spread of the probes, which is none here, up to the most.
TEST_P(QuadratureTest, MoreStepsAreTakenUpToTheMost) {
  const Numbers d = log_spaced(300, 5);
  DiagonalOperator<double> a(context(), Span<const double>(d));
  SpectrumRequest r{.method = SpectrumMethod::slq, .probes = 30, .steps = 10, .most_steps = 35, .damping = 1e-4};
  r.lower_bound = 0;
  const auto s = analyze_spectrum(a, r);
  EXPECT_EQ(s.products, 30 * (10 + 20 + 35));
  EXPECT_EQ(s.products, s.plan.products);
  EXPECT_TRUE(contains(s.notes.at(0), "log-determinant", "35 Lanczos steps"));
  EXPECT_LE(s.log_determinant->low, log_determinant(d, 1e-4));
  EXPECT_GE(s.log_determinant->high, log_determinant(d, 1e-4));
  r.damping = 10;  // next to a multiple of the identity
  EXPECT_EQ(analyze_spectrum(a, r).products, 30 * 10);
}

/// P within 20 % of A + delta I in every direction: twelve steps say more than they do of the matrix itself, and both
/// hold.
TEST_P(QuadratureTest, APreconditionerTakesTheSpreadOfTheSpectrumOut) {
  for_types([&]<class T>() {
    const Numbers d = log_spaced(400, 5);
    const double delta = 1e-4, truth = log_determinant(d, delta);
    DiagonalOperator<T> a(context(), Span<const T>(narrow<T>(d)));
    SpectralPreconditioner<T> p;
    Numbers root;
    p.smallest = 1;
    for (std::size_t i = 0; i < d.size(); ++i) {
      const double value = (d[i] + delta) * (1 + 0.2 * std::sin(static_cast<double>(i)));
      root.push_back(1 / std::sqrt(value));
      p.log_determinant += std::log(value);
      p.smallest = std::min(p.smallest, value);
      p.largest = std::max(p.largest, value);
    }
    p.inverse_root = std::make_unique<DiagonalOperator<T>>(context(), Span<const T>(narrow<T>(root)));
    SpectrumRequest r{.method = SpectrumMethod::slq, .probes = 30, .steps = 12, .most_steps = 12, .damping = delta};
    r.lower_bound = 0;
    const SpectrumPlan plan = plan_preconditioned(a, r, plan_spectrum(a, r), p);
    const auto with = analyze_spectrum(a, r, &plan, &p), without = analyze_spectrum(a, r);
    for (const Estimate& e : {*with.log_determinant, *without.log_determinant}) {
      EXPECT_LE(e.low, truth);
      EXPECT_GE(e.high, truth);
    }
    EXPECT_LT(with.log_determinant->quadrature_error, 1e-3 * without.log_determinant->quadrature_error);
    EXPECT_EQ(with.products, plan.products);
    EXPECT_EQ(with.products, 2 * without.products);
  });
}

}  // namespace
}  // namespace hso::test
