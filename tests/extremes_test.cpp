// SPDX-License-Identifier: Apache-2.0
//
// Extreme means extreme: eigenvalues of any multiplicity at the ends of spectra, what a search for missing ones costs,
// and whether what it claims is true.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "hsogpu/linalg/analysis.hpp"
#include "linalg/block_lanczos.hpp"
#include "linalg/hidden_weight.hpp"
#include "support/dense_operator.hpp"
#include "support/late_context.hpp"
#include "support/network_setting.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

class ExtremesTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, ExtremesTest, testing::ValuesIn(contexts()), device_word);

/// `copies` of `value`, and n - copies values spread over [from, to].
Numbers spread(Index n, Index copies, double value, double from, double to) {
  Numbers out(static_cast<std::size_t>(copies), value);
  for (Index i = 0; i < n - copies; ++i)
    out.push_back(from + (to - from) * static_cast<double>(i) / static_cast<double>(n - copies - 1));
  return out;
}

template <class T>
void expect_extremes(Context& context, const SymmetricCase& c, LanczosOptions o, const Numbers& expected,
                     bool may_be_open = false) {
  SCOPED_TRACE(c.name + ", " + spectrum_end_names()[static_cast<std::size_t>(o.which)] + ", float" +
               std::to_string(8 * sizeof(T)));
  DenseOperator<T> a(context, c.n, c.matrix);
  o.count = static_cast<Index>(expected.size());
  const auto pairs = lanczos(a, o);
  EXPECT_TRUE(pairs.all_converged()) << pairs.stop;
  EXPECT_EQ(pairs.products, a.products);
  // A matrix so small that n products came first leaves it open.
  EXPECT_TRUE(pairs.extremes.confirmed || may_be_open || (c.n <= 200 && pairs.products >= c.n))
      << pairs.products << " products, none below " << pairs.extremes.below << ", none above " << pairs.extremes.above;
  ASSERT_EQ(pairs.values.size(), expected.size());
  // Values differ from eigenvalues by their residuals, and equal ones may be confused within the tolerance.
  const double slack = 2 * std::max(o.tolerance, krylov_tolerance<T>()) * pairs.scale +
                       static_cast<double>(c.n) * std::numeric_limits<T>::epsilon() * pairs.scale;
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(pairs.values[i], expected[i], slack) << i;
}

Numbers negative(Numbers values) {
  for (double& v : values) v = -v;
  std::sort(values.begin(), values.end());
  return values;
}

TEST_P(ExtremesTest, TwentyEqualValues) {
  for (Index n : {120, 400}) {
    const SymmetricCase top = with_spectrum("20-fold top", spread(n, 20, 2, 0, 1), 3);
    const SymmetricCase bottom = with_spectrum("20-fold bottom", negative(spread(n, 20, 2, 0, 1)), 3);
    for_types([&]<class T>() {
      for (Index block : {1, 3}) {
        expect_extremes<T>(context(), top, {.block = block}, Numbers(10, 2.0));
        expect_extremes<T>(context(), bottom, {.which = SpectrumEnd::smallest, .block = block}, Numbers(10, -2.0));
        expect_extremes<T>(context(), top, {.which = SpectrumEnd::magnitude, .block = block}, Numbers(20, 2.0));
      }
    });
  }
}

/// Every value 20-fold, as in a network whose outputs share their inputs.
TEST_P(ExtremesTest, EveryValueTwentyFold) {
  Numbers values;
  for (int i = 0; i < 15; ++i) values.insert(values.end(), 20, std::pow(0.8, i));
  const SymmetricCase c = with_spectrum("each 20-fold", values, 5);
  for_types([&]<class T>() {
    expect_extremes<T>(context(), c, {}, Numbers(10, 1.0));
    Numbers two(4, 0.8);
    two.insert(two.end(), 20, 1.0);
    expect_extremes<T>(context(), c, {.tolerance = 1e-6}, two);
  });
}

TEST_P(ExtremesTest, FiveZerosAtTheBottom) {
  for (Index n : {22, 300}) {
    const SymmetricCase c = with_spectrum("5 zeros", spread(n, 5, 0, 1.5, 6), 4);
    for_types([&]<class T>() {
      const LanczosOptions o{.which = SpectrumEnd::smallest};
      expect_extremes<T>(context(), c, o, Numbers(5, 0.0));
      expect_extremes<T>(context(), c, o, {0, 0, 0, 0, 0, c.values[5], c.values[6]});
    });
  }
}

TEST_P(ExtremesTest, ManyZerosBesideAFewValues) {
  Numbers values(60, 0.0);
  for (double v : {1.48, 1.6, 2.0, 2.5, 4.02, 7.0}) values.push_back(v);
  const SymmetricCase c = with_spectrum("rank 6", values, 8);
  for_types([&]<class T>() {
    expect_extremes<T>(context(), c, {.which = SpectrumEnd::smallest, .lower_bound = 0}, Numbers(5, 0.0));
    // The Krylov space ends after 7 vectors, and ten units of rounding in float are a third of what values that are
    // called equal may differ by: that none hides below zero is then not known.
    expect_extremes<T>(context(), c, {.which = SpectrumEnd::smallest}, Numbers(5, 0.0), sizeof(T) == 4);
    expect_extremes<T>(context(), c, {}, {1.6, 2.0, 2.5, 4.02, 7.0});
  });
}

TEST_P(ExtremesTest, Clusters) {
  Numbers values = spread(300, 0, 0, 0, 1);
  for (int i = 0; i < 6; ++i) values.push_back(2 + 1e-5 * i);
  const SymmetricCase c = with_spectrum("cluster", values, 6);
  expect_extremes<double>(context(), c, {.tolerance = 1e-9}, {2 + 2e-5, 2 + 3e-5, 2 + 4e-5, 2 + 5e-5});
  expect_extremes<double>(context(), c, {.tolerance = 1e-9, .seed = 5}, {2 + 4e-5, 2 + 5e-5});
}

TEST_P(ExtremesTest, BothEndsOfAnIndefiniteMatrix) {
  Numbers values = spread(200, 0, 0, -1, 1);
  values.insert(values.end(), 4, -3.0);
  values.insert(values.end(), 4, 3.0);
  values.push_back(2.5);
  const SymmetricCase c = with_spectrum("indefinite", values, 7);
  for_types([&]<class T>() {
    expect_extremes<T>(context(), c, {.which = SpectrumEnd::both}, {-3, -3, -3, -3, 3, 3, 3, 3});
    expect_extremes<T>(context(), c, {.which = SpectrumEnd::both}, {-3, -3, -3, -3, 2.5, 3, 3, 3, 3});
    expect_extremes<T>(context(), c, {.which = SpectrumEnd::magnitude}, {-3, -3, -3, -3, 3, 3, 3, 3});
  });
}

/// More parameters than residuals: zeros by the dozen, and pairs of equal values by symmetry of the data.
TEST_P(ExtremesTest, ASingularGaussNewtonMatrixAgainstDense) {
  for (const char* model : {"mlp:5-20", "mlp:4-6-3:tanh"}) {
    SCOPED_TRACE(model);
    Setting<double> s(context(), model, LossKind::squared_error, 6);
    auto f = s.objective();
    const auto g = f.curvature(s.theta.data(), Curvature::ggn);
    const auto dense = analyze_spectrum(*g, {.method = SpectrumMethod::dense});
    const std::size_t n = dense.eigenvalues.size();
    for (SpectrumEnd which : {SpectrumEnd::largest, SpectrumEnd::smallest}) {
      SpectrumRequest request{.method = SpectrumMethod::lanczos, .which = which};
      request.lower_bound = 0;
      const auto found = analyze_spectrum(*g, request);
      ASSERT_TRUE(found.converged && found.extremes);
      EXPECT_TRUE(found.extremes->confirmed);
      const std::size_t k = found.eigenvalues.size(), first = which == SpectrumEnd::largest ? n - k : 0;
      for (std::size_t i = 0; i < k; ++i)
        EXPECT_NEAR(found.eigenvalues[i], dense.eigenvalues[first + i], 3e-8 * dense.eigenvalues.back()) << i;
    }
  }
}

/// Small values that crowd towards zero, as those of Gauss-Newton matrices do: no iteration tells them apart, and a
/// matrix that is known to be semidefinite has its smallest values where Ritz values reach zero.
TEST_P(ExtremesTest, ACrowdAtZeroIsKnownWithoutBeingResolved) {
  const Index n = 3000;
  std::vector<double> d;
  for (Index i = 0; i < n; ++i) d.push_back(4 * std::pow(10.0, -static_cast<double>(i) / 100));
  for_types([&]<class T>() {
    const std::vector<T> entries(d.begin(), d.end());
    DiagonalOperator<T> a(context(), Span<const T>(entries));
    LanczosOptions o{.count = 10, .which = SpectrumEnd::smallest, .tolerance = 1e-4, .lower_bound = 0};
    const Index resolved = lanczos(a, o).products;
    o.vectors = false;
    const auto pairs = lanczos(a, o);
    EXPECT_TRUE(pairs.all_converged()) << pairs.stop;
    EXPECT_TRUE(pairs.extremes.confirmed);
    EXPECT_EQ(pairs.extremes.confidence, 1);
    EXPECT_LE(pairs.products, resolved);
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_LE(std::abs(pairs.values[i]), 1e-4 * pairs.scale);
      double nearest = 1;
      for (double v : d) nearest = std::min(nearest, std::abs(v - pairs.values[i]));
      EXPECT_LE(nearest, pairs.residuals[i] + 1e-6);  // rounding of float
    }
  });
}

/// Where values are simple and a start vector does its work, knowing so costs a few products.
TEST_P(ExtremesTest, SimpleValuesCostLittle) {
  const Index n = 5000;
  std::vector<double> d;
  for (Index i = 0; i < n; ++i) d.push_back(1e-3 * std::sin(static_cast<double>(i)));
  for (std::size_t i = 0; i < 20; ++i) d[i] = 8 * std::pow(0.8, static_cast<double>(i));
  DiagonalOperator<double> a(context(), Span<const double>(d));
  const auto without = lanczos(a, {.count = 10, .confidence = 0}), with = lanczos(a, {.count = 10});
  EXPECT_EQ(without.extremes.confidence, 0);
  EXPECT_FALSE(without.extremes.confirmed);
  EXPECT_EQ(with.values, without.values);
  EXPECT_EQ(with.residuals, without.residuals);
  EXPECT_TRUE(with.extremes.confirmed);
  EXPECT_EQ(with.extremes.confidence, 0.99);
  EXPECT_EQ(with.products, without.products + with.extremes.products);
  EXPECT_LE(with.extremes.products, 32);
  EXPECT_GT(with.extremes.products, 0);
}

/// A spectrum that no iteration resolves at this tolerance: what is not known is not claimed.
TEST_P(ExtremesTest, WhatIsNotKnownIsSaid) {
  const Index n = 3000;
  const Numbers d = spread(n, 0, 0, 0, 1);
  DiagonalOperator<double> a(context(), Span<const double>(d));
  SpectrumRequest request{.method = SpectrumMethod::lanczos, .count = 4, .tolerance = 1e-8};
  request.max_products = 400;
  const auto s = analyze_spectrum(a, request);
  ASSERT_TRUE(s.extremes);
  if (!s.extremes->confirmed) {
    EXPECT_FALSE(s.notes.empty());
  }
  const auto none = lanczos(a, {.count = 4, .basis = 10, .max_products = 60, .tolerance = 1e-2});
  EXPECT_FALSE(none.all_converged() && none.extremes.confirmed && none.values.front() < d[n - 8]);
}

/// Over many starts and tolerances so coarse that the pairs are often not the extreme ones: what is claimed holds.
TEST_P(ExtremesTest, ClaimsAreTrue) {
  int claims = 0, confirmed = 0, wrong = 0;
  for (int kind = 0; kind < 3; ++kind) {
    Numbers d = spread(1500, 0, 0, 0, 1);
    for (std::size_t i = 0; i < 12; ++i)
      d[i] = kind == 0 ? 1.02 + 0.01 * static_cast<double>(i / 3) : kind == 1 ? 1.5 : 1 + 0.05 * static_cast<double>(i);
    DiagonalOperator<double> a(context(), Span<const double>(d));
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto pairs = lanczos(a, {.count = 5, .max_products = 1500, .tolerance = 1e-3, .seed = seed});
      if (!pairs.all_converged() || !std::isfinite(pairs.extremes.above)) continue;
      ++claims;
      confirmed += pairs.extremes.confirmed;
      const double slack = 1e-3 * pairs.scale, above = pairs.extremes.above;
      const auto beyond = std::count_if(d.begin(), d.end(), [&](double v) { return v > above + slack; });
      const auto known =
          std::count_if(pairs.values.begin(), pairs.values.end(), [&](double v) { return v > above - slack; });
      wrong += beyond > known;
    }
  }
  EXPECT_GE(claims, 50);
  EXPECT_GE(confirmed, 40);
  EXPECT_LE(wrong, 2);  // 0.6 expected at most; 3 or more of 60 have a probability below 3 %
}

/// Nearest a number: copies of a multiple value lie among simple ones that one start vector finds first.
TEST_P(ExtremesTest, ClaimsOfTheNearestAreTrue) {
  int confirmed = 0, wrong = 0;
  const int seeds = context().is_cuda() ? 4 : 40;
  for (const Numbers& expected : {Numbers{0, 0, 0.3}, Numbers{0.3, 0.3, 0.3}}) {
    Numbers d = spread(300, 0, 0, 1, 5);
    for (double v : {expected[0], expected[0], expected[0], expected[0], 0.0, 0.3, 0.45, 0.6}) d.push_back(v);
    DiagonalOperator<double> a(context(), Span<const double>(d));
    for (int seed = 0; seed < seeds; ++seed) {
      const auto pairs = eigenpairs_near(a, 0.2, {.count = 3, .seed = static_cast<std::uint64_t>(seed)});
      if (!pairs.extremes.confirmed) continue;
      ++confirmed;
      bool same = pairs.values.size() == 3;
      for (std::size_t i = 0; same && i < 3; ++i) same = std::abs(pairs.values[i] - expected[i]) <= 2e-8 * pairs.scale;
      wrong += !same;
    }
  }
  EXPECT_GE(confirmed, seeds);
  EXPECT_LE(wrong, 4);  // 0.8 of 80 expected at most; 5 or more have a probability below 2e-3
}

/// Equally near ones: neighbours are taken, so that what is kept of sorted pairs is a range.
TEST_P(ExtremesTest, EquallyNearValuesAreTakenAsNeighbours) {
  EXPECT_EQ(detail::nearest({0, 0, 0, 0.3, 1}, 2, 0.2), (std::vector<Index>{2, 3}));
  EXPECT_EQ(detail::nearest({0, 1, 3, 3}, 2, 2), (std::vector<Index>{1, 2}));
  EXPECT_EQ(detail::nearest({0, 1, 2}, 2, 7), (std::vector<Index>{1, 2}));
  EXPECT_EQ(detail::nearest({0, 1, 2}, 5, -1), (std::vector<Index>{0, 1, 2}));
  const SymmetricCase c = with_spectrum("three zeros", {0, 0, 0, 0.3, 1}, 3);
  DenseOperator<double> a(context(), 5, c.matrix);
  const auto pairs = eigenpairs_near(a, 0.2, {.count = 2});
  ASSERT_EQ(pairs.values.size(), 2U);
  EXPECT_NEAR(pairs.values[0], 0, 1e-8);
  EXPECT_NEAR(pairs.values[1], 0.3, 1e-8);
}

/// Where results come late, several steps are queued before the host looks: the answers are the same.
TEST(LateExtremes, AreTheSame) {
  LateContext late;
  const SymmetricCase top = with_spectrum("20-fold top", spread(400, 20, 2, 0, 1), 3);
  const SymmetricCase bottom = with_spectrum("5 zeros", spread(300, 5, 0, 1.5, 6), 4);
  for_types([&]<class T>() {
    expect_extremes<T>(late, top, {}, Numbers(10, 2.0));
    expect_extremes<T>(late, top, {.which = SpectrumEnd::magnitude}, Numbers(20, 2.0));
    expect_extremes<T>(late, bottom, {.which = SpectrumEnd::smallest}, Numbers(5, 0.0));
    DenseOperator<T> a(late, bottom.n, bottom.matrix);
    const auto zeros = eigenpairs_near(a, 0.0, {.count = 5, .tolerance = 1e-4});
    EXPECT_TRUE(zeros.all_converged() && zeros.extremes.confirmed) << zeros.stop;
    for (double v : zeros.values) EXPECT_NEAR(v, 0, 2e-4 * 6);
  });
}

TEST(LateExtremes, ASearchWaitsNoMoreThanTheStepsBeforeIt) {
  LateContext late;
  std::vector<double> d;
  for (Index i = 0; i < 2000; ++i) d.push_back(1e-3 * std::sin(static_cast<double>(i)));
  for (std::size_t i = 0; i < 20; ++i) d[i] = 8 * std::pow(0.8, static_cast<double>(i));
  DiagonalOperator<double> a(late, Span<const double>(d));
  late.traffic = {};
  const auto pairs = lanczos(a, {.count = 10, .vectors = false});
  EXPECT_TRUE(pairs.extremes.confirmed);
  EXPECT_LE(late.traffic.waits, pairs.products / 4 + 16);  // one for four steps, and those of beginning and end
}

/// Lanczos on a measure of `values` and `weights`, in long double with full reorthogonalisation.
detail::LanczosRecurrence recurrence_of(const Numbers& values, const Numbers& weights, int steps) {
  const std::size_t n = values.size();
  std::vector<std::vector<long double>> v{std::vector<long double>(n)};
  for (std::size_t i = 0; i < n; ++i) v[0][i] = std::sqrt(static_cast<long double>(weights[i]));
  detail::LanczosRecurrence r;
  for (int j = 0; j < steps; ++j) {
    std::vector<long double> w = v.back();
    for (std::size_t i = 0; i < n; ++i) w[i] *= values[i];
    for (int pass = 0; pass < 2; ++pass)
      for (std::size_t k = 0; k < v.size(); ++k) {
        long double dot = 0;
        for (std::size_t i = 0; i < n; ++i) dot += v[k][i] * w[i];
        if (pass == 0 && k + 1 == v.size()) r.diagonal.push_back(static_cast<double>(dot));
        for (std::size_t i = 0; i < n; ++i) w[i] -= dot * v[k][i];
      }
    long double norm = 0;
    for (long double x : w) norm += x * x;
    norm = std::sqrt(norm);
    r.off_diagonal.push_back(static_cast<double>(norm));
    for (long double& x : w) x /= norm;
    v.push_back(w);
  }
  return r;
}

TEST(HiddenWeight, BoundsTheWeightOfEveryAtom) {
  const Numbers raw = random_numbers(20, 3);
  Numbers values, weights;
  double total = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    values.push_back(static_cast<double>(i) + 0.3 * std::sin(static_cast<double>(i)));
    weights.push_back(raw[i] * raw[i]);
    total += weights.back();
  }
  for (double& w : weights) w /= total;
  double before = 1;
  for (int steps : {1, 3, 8, 15, 19}) {
    const auto r = recurrence_of(values, weights, steps);
    for (std::size_t i = 0; i < 20; ++i) {
      const double hidden = std::exp(detail::log_hidden_weight(r, values[i], 1e-300));
      EXPECT_GE(hidden, weights[i] * (1 - 1e-6)) << steps << " steps, atom " << i;
      if (steps == 19) {
        EXPECT_NEAR(hidden, weights[i], 1e-6);  // nothing else fits
      }
    }
    const double beyond = std::exp(detail::log_hidden_weight(r, 25, 1e-300));
    EXPECT_LT(beyond, before);
    before = beyond;
    const double x = detail::hidden_beyond(r, 100, 20.5, 1, 0.01, 1e-300);
    if (!std::isfinite(x)) continue;
    EXPECT_LE(detail::chance_of_hiding(100, detail::log_hidden_weight(r, x, 1e-300)), 0.01 * (1 + 1e-9));
    if (x > 20.5) {
      EXPECT_GT(detail::chance_of_hiding(100, detail::log_hidden_weight(r, 20.5 + 0.9 * (x - 20.5), 1e-300)), 0.01);
    }
  }
}

/// Behind a coupling that is zero but for rounding another vector's recurrence goes on, which says nothing of b's.
TEST(HiddenWeight, EndsWithTheKrylovSpace) {
  const detail::LanczosRecurrence whole{{1, 2, 5, 4}, {0.5, 1e-17, 1, 0.3}}, own{{1, 2}, {0.5, 1e-17}};
  for (double x : {0.0, 1.7, 5.0})
    EXPECT_EQ(detail::log_hidden_weight(whole, x, 1e-15), detail::log_hidden_weight(own, x, 1e-15)) << x;
}

/// The share of random unit vectors that are as orthogonal to a given one.
TEST(HiddenWeight, ChancesAreThoseOfRandomVectors) {
  std::mt19937_64 engine(7);
  std::normal_distribution<double> normal;
  for (Index d : {3, 10, 200}) {
    constexpr int kDraws = 20000;
    const double weight = 0.01 / static_cast<double>(d);
    int hidden = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      double first = 0, all = 0;
      for (Index i = 0; i < d; ++i) {
        const double x = normal(engine);
        if (i == 0) first = x * x;
        all += x * x;
      }
      hidden += first <= weight * all;
    }
    const double chance = detail::chance_of_hiding(d, std::log(weight));
    const double spread = 4 * std::sqrt(chance / kDraws);
    EXPECT_LE(hidden, (chance + spread) * kDraws) << d;
    EXPECT_GE(hidden, (0.7 * chance - spread) * kDraws) << d;  // for d = 3 the bound is 1.38 times the chance
  }
}

}  // namespace
}  // namespace hso::test
