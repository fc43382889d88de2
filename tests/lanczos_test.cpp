// SPDX-License-Identifier: Apache-2.0
//
// Lanczos pairs against matrices whose spectra are known beforehand.
#include "hsogpu/linalg/spectrum.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/messages.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

class LanczosTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, LanczosTest, testing::ValuesIn(contexts()), device_word);

template <class T>
constexpr double kEps = static_cast<double>(std::numeric_limits<T>::epsilon());

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

/// The Krylov space ends after as many vectors as A has eigenvalues: random ones continue it, A V = V T + residual
/// holds as before, and the zeros are found too.
TEST_P(LanczosTest, ASpaceThatEndsIsContinued) {
  const Index n = 50;
  std::vector<double> values(static_cast<std::size_t>(n), 0.0);
  for (std::size_t i = 44; i < 50; ++i) values[i] = static_cast<double>(i) - 41;
  const SymmetricCase c = with_spectrum("rank 6", values, 11);
  for_types([&]<class T>() {
    DenseOperator<T> a(context(), n, c.matrix);
    for (Index block : {1, 2, 4, 5, 8, 9}) {
      SCOPED_TRACE("block " + std::to_string(block));
      auto some = lanczos(a, {.count = 9, .block = block, .basis = 40});
      EXPECT_TRUE(some.all_converged()) << some.stop;
      expect_pairs(a, some, expected_values(c.values, 9, SpectrumEnd::largest), 8);
      auto all = lanczos(a, {.count = n, .which = SpectrumEnd::both, .block = block, .basis = n});
      EXPECT_TRUE(all.all_converged()) << all.stop;
      expect_pairs(a, all, c.values, 8);
    }
  });
}

TEST_P(LanczosTest, MoreRowsThanDimensionsThatAreLeft) {
  for (Index n : {6, 11, 17, 26})
    for (Index block : {4, 5, 9, 13}) {
      if (block > n) continue;
      SCOPED_TRACE(std::to_string(n) + " dimensions, block " + std::to_string(block));
      const SymmetricCase c = network_like(n, 12);
      DenseOperator<double> a(context(), n, c.matrix);
      auto pairs = lanczos(a, {.count = n, .which = SpectrumEnd::both, .block = block, .basis = n});
      EXPECT_EQ(pairs.stop, "complete");
      expect_pairs(a, pairs, c.values, largest(c.values));
    }
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
    EXPECT_LE(near.products, n);
  });
}

/// The number may be an eigenvalue, of a singular matrix too, and a multiple one.
TEST_P(LanczosTest, FindsWhatIsNearAnEigenvalue) {
  for (Index n : {66, 400}) {
    std::vector<double> values(5, 0.0);
    for (Index i = 5; i < n; ++i) values.push_back(1.5 + 4.5 * static_cast<double>(i - 5) / static_cast<double>(n - 6));
    const SymmetricCase c = with_spectrum("5 zeros", values, 8);
    for_types([&]<class T>() {
      DenseOperator<T> a(context(), n, c.matrix);
      const double tolerance = sizeof(T) == 8 ? 1e-8 : 1e-4;
      auto zeros = eigenpairs_near(a, 0.0, {.count = 5, .tolerance = tolerance});
      EXPECT_TRUE(zeros.all_converged()) << zeros.stop;
      EXPECT_TRUE(zeros.extremes.confirmed);
      expect_pairs(a, zeros, Numbers(5, 0.0), 6);
      const auto one = eigenpairs_near(a, 6.0, {.count = 1, .tolerance = tolerance});
      EXPECT_NEAR(one.values.at(0), 6, 2 * tolerance * 6);
    });
  }
}

/// A basis too small for one Krylov space: a polynomial filter goes on from what it saw. Values come in pairs.
TEST_P(LanczosTest, AFilterFindsThemInASmallBasis) {
  const Index n = 20000;
  std::vector<double> d;
  for (Index i = 0; i < n; ++i)
    d.push_back(i < 1000 ? 0.02 + 1e-3 * static_cast<double>(i / 2 * 2) : 0.01 * std::sin(static_cast<double>(i)));
  for_types([&]<class T>() {
    if (context().is_cuda() && sizeof(T) == 4) return;  // thousands of products: one type of them is enough there
    const std::vector<T> entries(d.begin(), d.end());
    DiagonalOperator<T> a(context(), Span<const T>(entries));
    const double tolerance = sizeof(T) == 8 ? 1e-8 : 1e-5;
    const auto pairs = eigenpairs_near(a, 0.5204, {.count = 6, .basis = 80, .tolerance = tolerance});
    ASSERT_TRUE(pairs.all_converged()) << pairs.stop;
    EXPECT_TRUE(pairs.extremes.confirmed);
    EXPECT_LE(pairs.products, n);
    const Numbers expected{0.518, 0.518, 0.520, 0.520, 0.522, 0.522};
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(pairs.values[i], expected[i], 2 * tolerance) << i;
    const Numbers v = widen(pairs.vectors.download());
    EXPECT_LE(orthogonality(v, n, 6, kEps<T>), 30);
  });
}

/// A number outside the spectrum has the values at that end nearest, in a basis too small for one Krylov space as well;
/// products that do not suffice for a filter are not exceeded.
TEST_P(LanczosTest, ANumberOutsideTheSpectrumIsNearItsEnd) {
  const Index n = 2000;
  std::vector<double> d{0, 0.004, 0.008};
  for (Index i = 3; i < n; ++i) d.push_back(0.03 + 0.97 * static_cast<double>(i) / static_cast<double>(n));
  DiagonalOperator<double> a(context(), Span<const double>(d));
  const auto pairs = eigenpairs_near(a, -0.1, {.count = 3, .basis = 24, .max_products = 20000, .tolerance = 1e-7});
  ASSERT_TRUE(pairs.all_converged()) << pairs.stop;
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(pairs.values[i], d[i], 2e-7);
  const auto few = eigenpairs_near(a, -0.1, {.count = 3, .basis = 24, .max_products = 60, .tolerance = 1e-7});
  EXPECT_EQ(few.stop, "too_dense");
  EXPECT_LE(few.products, 60);
}

/// What a filter finds may not be accurate for the matrix itself: then nothing is claimed.
TEST_P(LanczosTest, InexactPairsAreNotClaimedToBeTheNearest) {
  const Index n = 2000;
  std::vector<float> d;
  for (Index i = 0; i < n; ++i) d.push_back(static_cast<float>(i) / static_cast<float>(n) + (i > n / 2 ? 0.02F : 0.0F));
  DiagonalOperator<float> a(context(), Span<const float>(d));
  const auto pairs = eigenpairs_near(a, 0.5, {.count = 4, .basis = 20, .max_products = 40000, .tolerance = 1e-2});
  EXPECT_TRUE(pairs.stop == "inexact" || pairs.converged == 4) << pairs.stop;
  EXPECT_TRUE(!pairs.extremes.confirmed || pairs.converged == 4) << pairs.stop;
}

/// Among 3,000 values of which neighbours differ by 1/3000, n products would be needed and it says so early.
TEST_P(LanczosTest, ValuesTooCloseTogetherAreGivenUpEarly) {
  const Index n = 3000;
  std::vector<double> d;
  for (Index i = 0; i < n; ++i) d.push_back(static_cast<double>(i) / static_cast<double>(n));
  DiagonalOperator<double> a(context(), Span<const double>(d));
  const auto pairs = eigenpairs_near(a, 0.5, {.count = 3});
  EXPECT_EQ(pairs.stop, "too_dense");
  EXPECT_FALSE(pairs.all_converged());
  EXPECT_LE(pairs.products, n / 6);
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

}  // namespace
}  // namespace hso::test
