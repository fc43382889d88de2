// SPDX-License-Identifier: Apache-2.0
//
// Plans against the allocator's high-water mark, and what an analysis says of matrices with known spectra.
#include "hsogpu/linalg/analysis.hpp"

#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

class AnalysisTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, AnalysisTest, testing::ValuesIn(contexts()), device_word);

constexpr Index kMiB = Index{1} << 20;

std::string joined(const std::vector<std::string>& notes) {
  std::string out;
  for (const std::string& note : notes) out += note + "\n";
  return out;
}

/// Never below the mark, and above it by at most 10 % or 32 MiB.
template <class T>
void expect_plan(LinearOperator<T>& a, const SpectrumRequest& request) {
  SCOPED_TRACE(name_of(request.method));
  const SpectrumPlan plan = plan_spectrum(a, request);
  const auto s = analyze_spectrum(a, request, &plan);
  const Index mark = a.context().peak_bytes();
  EXPECT_LE(mark, plan.bytes);
  EXPECT_LE(plan.bytes, std::max(mark + 32 * kMiB, mark + mark / 10));
  if (plan.products > 0) {
    EXPECT_LE(s.products, plan.products);
  }
  EXPECT_GT(plan.product_seconds, 0);
}

/// Each in a fresh context: the mark never goes back.
TEST_P(AnalysisTest, PlansAreHighWaterMarksOfNetworks) {
  const ModelSpec image = parse_model_toml(R"(
input = [1, 16, 16]
[[layer]]
type = "conv2d"
out = 6
kernel = 5
[[layer]]
type = "tanh"
[[layer]]
type = "avgpool2d"
kernel = 2
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
out = 6
)",
                                           "image.toml");
  for (const ModelSpec& model : {parse_model("mlp:40-30-10:tanh"), image})
    for (SpectrumMethod method : {SpectrumMethod::dense, SpectrumMethod::lanczos, SpectrumMethod::slq,
                                  SpectrumMethod::trace, SpectrumMethod::lanczos_slq}) {
      const auto fresh = Context::create(GetParam());
      Setting<float> s(*fresh, model, LossKind::cross_entropy, 200);
      auto f = s.objective();
      const auto h = f.curvature(s.theta.data(), Curvature::hessian);
      expect_plan(*h, {.method = method, .count = 5, .tolerance = 1e-4, .max_products = 60, .probes = 12, .steps = 6});
    }
}

/// Where 32 MiB are not much: hundreds of megabytes of vectors, and a dense matrix of 2,500^2.
TEST_P(AnalysisTest, PlansAreHighWaterMarksAtSize) {
  struct Case {
    Index n;
    SpectrumRequest request;
  };
  const auto of = [](Index n, SpectrumMethod method, TraceMethod trace = TraceMethod::hutchinson) {
    SpectrumRequest r{.method = method, .count = 4, .tolerance = 1e-30, .max_products = 12, .probes = 60, .steps = 3};
    r.trace_method = trace;
    return Case{n, r};
  };
  std::vector<Case> cases{of(60000, SpectrumMethod::lanczos),
                          of(300000, SpectrumMethod::slq),
                          of(300000, SpectrumMethod::trace),
                          of(100000, SpectrumMethod::trace, TraceMethod::hutch_plus_plus),
                          of(100000, SpectrumMethod::trace, TraceMethod::xtrace),
                          of(100000, SpectrumMethod::trace, TraceMethod::xnystrace),
                          of(60000, SpectrumMethod::rank),
                          of(60000, SpectrumMethod::lanczos_slq),
                          of(2500, SpectrumMethod::dense)};
  cases.push_back(of(40000, SpectrumMethod::lanczos));
  cases.back().request.vectors = true;
  cases.push_back(of(40000, SpectrumMethod::lanczos));
  cases.back().request.block = 8;
  cases.back().request.max_products = 400;  // restarts
  cases.push_back(of(40000, SpectrumMethod::lanczos));
  cases.back().request.near = 0.4;
  cases.push_back(of(1000000, SpectrumMethod::lanczos));
  cases.back().request.near = 0.4;
  cases.back().request.block = 2;
  cases.back().request.count = 1;
  cases.back().request.max_products = 6;
  cases.push_back(of(300000, SpectrumMethod::trace, TraceMethod::hutch_plus_plus));
  cases.back().request.probes = 8;
  for (const Case& c : cases) {
    const auto fresh = Context::create(GetParam());
    std::vector<double> d;
    for (Index i = 0; i < c.n; ++i) d.push_back(static_cast<double>(1 + i % 7));
    DiagonalOperator<double> a(*fresh, Span<const double>(d));
    expect_plan(a, c.request);
  }
}

/// Products that need scratch of their own: a restriction holds two vectors of the whole for each lane.
TEST_P(AnalysisTest, PlansKnowTheScratchOfProducts) {
  for (SpectrumMethod method : {SpectrumMethod::lanczos, SpectrumMethod::slq, SpectrumMethod::trace}) {
    const auto fresh = Context::create(GetParam());
    std::vector<double> d(400000, 1.5);
    DiagonalOperator<double> whole(*fresh, Span<const double>(d));
    RestrictedOperator<double> part(whole, {1000, 41000});
    expect_plan(
        part,
        {.method = method, .count = 3, .block = 4, .tolerance = 1e-30, .max_products = 12, .probes = 20, .steps = 3});
  }
}

TEST_P(AnalysisTest, APlanOfTheMatrixAlone) {
  const auto fresh = Context::create(GetParam());
  Setting<float> own(*fresh, "mlp:40-30-10:tanh", LossKind::cross_entropy, 300);
  auto f = own.objective();
  const auto h = f.curvature(own.theta.data(), Curvature::hessian);
  const SpectrumPlan plan = plan_matrix(*h);
  Buffer<float> dense(*fresh, own.n() * own.n());
  h->to_dense(dense.data());
  EXPECT_LE(fresh->peak_bytes(), plan.bytes);
  EXPECT_LE(plan.bytes, fresh->peak_bytes() + 32 * kMiB);
  EXPECT_EQ(plan.products, own.n());
}

TEST_P(AnalysisTest, LogDeterminants) {
  const SymmetricCase c = with_spectrum("known", {-0.5, 0, 1, 2}, 5);
  DenseOperator<double> a(context(), 4, c.matrix);
  const double expected = std::log(0.5) + std::log(1.0) + std::log(2.0) + std::log(3.0);
  const auto dense = analyze_spectrum(a, {.method = SpectrumMethod::dense, .damping = 1});
  EXPECT_NEAR(*dense.exact_log_determinant, expected, 1e-12);
  const auto slq = analyze_spectrum(a, {.method = SpectrumMethod::slq, .probes = 50, .damping = 1});
  EXPECT_NEAR(slq.log_determinant->value, expected, 5 * slq.log_determinant->standard_error + 1e-12);
  const auto indefinite = analyze_spectrum(a, {.method = SpectrumMethod::dense, .damping = 0.25});
  EXPECT_FALSE(indefinite.exact_log_determinant);
  EXPECT_TRUE(contains(indefinite.notes.at(0), "log-determinant", "-0.5", "0.25"));
}

TEST_P(AnalysisTest, WhatDoesNotFitIsRefusedWithWhatWould) {
  DiagonalOperator<double> a(context(), Buffer<double>(context(), 3000000));
  const std::string text = message_of<MemoryError>([&] { plan_spectrum(a, {.method = SpectrumMethod::dense}); });
  EXPECT_TRUE(contains(text, "dense spectrum", "n = 3000000", "would fit"));
  EXPECT_EQ(plan_spectrum(a, {.count = 2}).method, SpectrumMethod::lanczos_slq);
}

/// 100 positive, 50 negative eigenvalues and zeros, at an order where the matrix is not formed.
TEST_P(AnalysisTest, RankIsBoundedWhereTheMatrixIsNotFormed) {
  const Index n = 9000;
  std::vector<double> d(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < 150; ++i) d[i] = i < 100 ? 1 + static_cast<double>(i) : -static_cast<double>(i);
  DiagonalOperator<double> a(context(), Span<const double>(d));
  const auto s = analyze_spectrum(a, {.method = SpectrumMethod::rank});
  ASSERT_TRUE(s.rank);
  EXPECT_FALSE(s.rank->exact);
  EXPECT_EQ(s.rank->inertia.positive, 100);
  EXPECT_EQ(s.rank->inertia.negative, 50);
  EXPECT_EQ(s.rank->at_least, 150);
  EXPECT_EQ(s.rank->at_most, n);
  const auto known = analyze_spectrum(a, {.method = SpectrumMethod::rank, .rank_at_most = 150});
  EXPECT_TRUE(known.rank->exact);
  EXPECT_EQ(known.rank->inertia.zero, n - 150);
}

/// Lanczos does not spend more than the whole matrix takes, where that fits, unless it is told to.
TEST_P(AnalysisTest, LanczosEndsWhereTheMatrixIsCheaper) {
  const Index n = 1200;
  std::vector<double> d;
  for (Index i = 0; i < n; ++i) d.push_back(std::pow(10.0, -static_cast<double>(i) / 100));
  DiagonalOperator<double> a(context(), Span<const double>(d));
  const SpectrumRequest request{
      .method = SpectrumMethod::lanczos, .count = 8, .which = SpectrumEnd::smallest, .tolerance = 1e-12};
  const auto s = analyze_spectrum(a, request);
  EXPECT_FALSE(s.converged);
  EXPECT_EQ(s.products, n);
  EXPECT_TRUE(contains(joined(s.notes), "n = 1200 make the whole matrix", "--method dense is cheaper and fits",
                       "extreme ones was not looked for"));
}

/// What was multiplied is what is said, and that a dense matrix would be cheaper where it is.
TEST_P(AnalysisTest, ProductsAreCountedAndComparedWithTheMatrix) {
  const SymmetricCase c = network_like(60, 3);
  DenseOperator<double> a(context(), c.n, c.matrix);
  const auto products_of = [&](const SpectrumRequest& r) {
    const SpectrumPlan plan = plan_spectrum(a, r);
    a.products = 0;
    const auto s = analyze_spectrum(a, r, &plan);
    EXPECT_EQ(s.products, a.products);
    EXPECT_EQ(s.products, plan.products);
    return std::pair{s.products, joined(s.notes)};
  };
  const auto slq = products_of({.method = SpectrumMethod::slq, .probes = 6, .steps = 10});
  EXPECT_TRUE(contains(slq.second, "slq: 60 products, and n = 60 make the whole matrix", "dense is cheaper and fits"));
  EXPECT_EQ(products_of({.method = SpectrumMethod::slq, .probes = 5, .steps = 10}).second, "");
  const auto exact = products_of({.method = SpectrumMethod::trace, .probes = 70});
  EXPECT_EQ(exact.first, 60);
  EXPECT_TRUE(contains(exact.second, "n = 60 products of unit vectors", "exact"));
  SpectrumRequest odd{.method = SpectrumMethod::trace, .probes = 31, .trace_method = TraceMethod::xtrace};
  EXPECT_EQ(products_of(odd), (std::pair{Index{30}, std::string()}));
  odd.trace_method = TraceMethod::xnystrace;
  odd.probes = 50;
  const auto left = analyze_spectrum(a, odd);
  EXPECT_EQ(left.products, 30 + 50);
  EXPECT_TRUE(contains(joined(left.notes), "the estimate is xtrace's", "80 products, and n = 60"));
}

/// Where Lanczos would need more than n products `automatic` takes the matrix, and both say so.
TEST_P(AnalysisTest, ValuesTooCloseTogetherAreLeftToTheDenseSolver) {
  const Index n = 700;
  std::vector<double> d;
  for (Index i = 0; i < n; ++i) d.push_back(static_cast<double>(i) / static_cast<double>(n));
  const auto fresh = Context::create(GetParam());
  DiagonalOperator<double> a(*fresh, Span<const double>(d));
  SpectrumRequest request{.count = 3, .near = d[350] + 1e-4, .vectors = true};
  const SpectrumPlan plan = plan_spectrum(a, request);
  EXPECT_EQ(plan.method, SpectrumMethod::lanczos);
  EXPECT_TRUE(plan.dense_instead);
  const auto s = analyze_spectrum(a, request, &plan);
  EXPECT_LE(fresh->peak_bytes(), plan.bytes);
  EXPECT_TRUE(s.converged);
  ASSERT_EQ(s.eigenvalues.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(s.eigenvalues[i], d[349 + i], 1e-12);
  const std::vector<double> v = s.vectors.download();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(std::abs(v[i * static_cast<std::size_t>(n) + 349 + i]), 1, 1e-10);
  EXPECT_GT(s.products, n);
  EXPECT_TRUE(contains(s.notes.at(0), "too close together", "700 products, is cheaper"));
  request.method = SpectrumMethod::lanczos;
  const auto alone = analyze_spectrum(a, request);
  EXPECT_FALSE(alone.converged);
  EXPECT_EQ(alone.stop, "too_dense");
  EXPECT_LT(alone.products, n);
  EXPECT_TRUE(contains(joined(alone.notes), "--method dense is cheaper", "nearest ones was not looked for"));
  request.max_products = 60;  // where they lie has no part in it then
  request.near = -3;
  const auto few = analyze_spectrum(a, request);
  EXPECT_FALSE(few.converged);
  EXPECT_LE(few.products, 60);
}

TEST_P(AnalysisTest, DenseAnalysisIsExact) {
  for_types([&]<class T>() {
    const SymmetricCase c = with_spectrum("known", {-2, -1, 0, 0, 0.5, 3, 4}, 5);
    DenseOperator<T> a(context(), 7, c.matrix);
    for (bool vectors : {false, true}) {
      const auto s = analyze_spectrum(a, {.method = SpectrumMethod::dense, .vectors = vectors});
      ASSERT_TRUE(s.complete);
      for (std::size_t i = 0; i < 7; ++i) EXPECT_NEAR(s.eigenvalues[i], c.values[i], s.residuals[i] + 4e-7);
      EXPECT_NEAR(*s.exact_trace, 4.5, 1e-5);
      EXPECT_NEAR(*s.exact_frobenius_squared, 30.25, 1e-4);
      for (double e : s.density->standard_error) EXPECT_EQ(e, 0);
      EXPECT_EQ(s.vectors.size(), vectors ? 49 : 0);
      if (sizeof(T) == 8) {
        EXPECT_EQ(s.rank->inertia, (Inertia{3, 2, 2}));
      }
      EXPECT_EQ(s.rank->meaningful, sizeof(T) == 8 || s.rank->inertia.zero == 0);
    }
  });
  for (const std::string& name : spectrum_method_names()) EXPECT_EQ(name_of(parse_spectrum_method(name)), name);
}

}  // namespace
}  // namespace hso::test
