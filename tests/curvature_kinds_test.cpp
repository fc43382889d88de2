// SPDX-License-Identifier: Apache-2.0
//
// The Fisher matrices and the outer gradient against what they are made of: gradients of single samples.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/analysis.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

class CurvatureKinds : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, CurvatureKinds, testing::ValuesIn(contexts()), device_word);

/// 1/N sum_n g_n g_n' from N gradients of one row each.
template <class T>
Numbers outer_products(Setting<T>& s) {
  auto f = s.objective();
  Buffer<T> g(s.context, s.n());
  const auto n = static_cast<std::size_t>(s.n());
  Numbers out(n * n);
  for (Index row = 0; row < s.data.size; ++row) {
    f.select(std::vector<Index>{row});
    f.gradient(s.theta.data(), g.data());
    const Numbers one = widen(g.download());
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) out[i * n + j] += one[i] * one[j] / static_cast<double>(s.data.size);
  }
  return out;
}

constexpr LossKind kLosses[] = {LossKind::cross_entropy, LossKind::squared_error, LossKind::bce};

TEST_P(CurvatureKinds, TheEmpiricalFisherIsTheSumOfOuterGradients) {
  for (LossKind loss : kLosses)
    for_types([&]<class T>() {
      SCOPED_TRACE(name_of(loss));
      Setting<T> s(context(), "mlp:5-4-3:tanh", loss, 11);
      const Numbers expected = outer_products(s);
      const double tolerance = sizeof(T) == 8 ? 1e-13 : 2e-5;
      auto whole = s.objective();
      EXPECT_LE(worst(s.dense(whole, Curvature::fisher_empirical), expected), tolerance);
      auto pieces = s.objective({.batch = 4, .lanes = 3});
      EXPECT_LE(worst(s.dense(pieces, Curvature::fisher_empirical), expected), tolerance);
      const auto f = whole.curvature(s.theta.data(), Curvature::fisher_empirical);
      EXPECT_NO_THROW(require_consistent(*f));
    });
}

/// The mean over draws of g g' is the GGN; each entry's error falls with 1 / sqrt(draws N).
TEST_P(CurvatureKinds, TheMonteCarloFisherTendsToTheGaussNewtonMatrix) {
  for (LossKind loss : kLosses) {
    SCOPED_TRACE(name_of(loss));
    Setting<double> s(context(), "mlp:5-4-3:tanh", loss, 10);
    auto few = s.objective({.fisher_draws = 40}), many = s.objective({.fisher_draws = 4000});
    const Numbers ggn = s.dense(many, Curvature::ggn);
    const double coarse = worst(s.dense(few, Curvature::fisher_mc), ggn);
    const double fine = worst(s.dense(many, Curvature::fisher_mc), ggn);
    EXPECT_LT(fine, 0.05);
    EXPECT_LT(fine, coarse / 3);
  }
}

TEST_P(CurvatureKinds, DrawsAreAFunctionOfTheSeedAndTheRowAlone) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 13);
  auto one = s.objective({.fisher_seed = 5, .fisher_draws = 3});
  auto cut = s.objective({.batch = 5, .lanes = 2, .fisher_seed = 5, .fisher_draws = 3});
  auto other = s.objective({.fisher_seed = 6, .fisher_draws = 3});
  const Numbers expected = s.dense(one, Curvature::fisher_mc);
  EXPECT_LE(worst(s.dense(cut, Curvature::fisher_mc), expected), 1e-13);
  EXPECT_GE(worst(s.dense(other, Curvature::fisher_mc), expected), 1e-3);
  EXPECT_NO_THROW(require_consistent(*cut.curvature(s.theta.data(), Curvature::fisher_mc)));
}

/// The draws replace the tape's targets; what comes after sees the data's again.
TEST_P(CurvatureKinds, DrawnTargetsDoNotLeakIntoLaterGradients) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::squared_error, 9);
  auto f = s.objective(), fresh = s.objective();
  Buffer<double> g(context(), s.n()), expected(context(), s.n());
  fresh.gradient(s.theta.data(), expected.data());
  const auto linearized = f.linearize(s.theta.data(), g.data(), Curvature::fisher_mc);
  s.dense(f, Curvature::fisher_mc);
  f.gradient(s.theta.data(), g.data());
  EXPECT_EQ(g.download(), expected.download());
}

TEST_P(CurvatureKinds, TheOuterGradientHasRankOneAndWeightDecayShiftsTheOthers) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 9);
  const auto n = static_cast<std::size_t>(s.n());
  auto plain = s.objective(), decayed = s.objective({.weight_decay = 0.25});
  Buffer<double> g(context(), s.n());
  plain.gradient(s.theta.data(), g.data());
  const Numbers gradient = g.download();
  Numbers expected(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) expected[i * n + j] = gradient[i] * gradient[j];
  EXPECT_LE(worst(s.dense(plain, Curvature::gradient_outer), expected), 1e-14);
  for (Curvature kind : {Curvature::hessian, Curvature::ggn, Curvature::fisher_mc, Curvature::fisher_empirical}) {
    Numbers shifted = s.dense(plain, kind);
    for (std::size_t i = 0; i < n; ++i) shifted[i * n + i] += 0.25;
    EXPECT_LE(worst(s.dense(decayed, kind), shifted), 1e-13) << name_of(kind);
  }
}

/// Softmax regression is linear in its weights, so H = GGN; its null space has the classes' common shift in it.
TEST_P(CurvatureKinds, SoftmaxRegressionHasTheGaussNewtonHessian) {
  Setting<double> s(context(), "mlp:5-3", LossKind::cross_entropy, 40);
  auto f = s.objective();
  EXPECT_LE(worst(s.dense(f, Curvature::hessian), s.dense(f, Curvature::ggn)), 1e-13);
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  auto all = lanczos(*h, {.count = s.n(), .which = SpectrumEnd::both, .block = 3, .basis = s.n()});
  ASSERT_EQ(all.stop, "complete");
  const double rounding = 30 * static_cast<double>(s.n()) * 2.3e-16 * all.scale;
  const auto zeros =
      std::count_if(all.values.begin(), all.values.end(), [&](double v) { return std::abs(v) <= rounding; });
  EXPECT_EQ(zeros, 6);  // (5 inputs + bias) x 1
  EXPECT_GE(all.values.front(), -rounding);
}

/// Adding the same number to every class's weight of one hidden unit, or to every bias, changes no probability: last
/// hidden width + 1 directions are null at every theta, of H and of the GGN, and the null space of the dense spectrum
/// holds them.
TEST_P(CurvatureKinds, NullVectorsOfSoftmaxNetworksAreFound) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 30, 7);
  auto f = s.objective();
  const Index n = s.n(), hidden = 4, classes = 3, weight = 5 * 4 + 4, bias = weight + hidden * classes;
  Numbers null(static_cast<std::size_t>((hidden + 1) * n));
  for (Index u = 0; u <= hidden; ++u)
    for (Index c = 0; c < classes; ++c)
      null[static_cast<std::size_t>(u * n + (u < hidden ? weight + c * hidden + u : bias + c))] = 1 / std::sqrt(3.0);
  for (Curvature kind : {Curvature::hessian, Curvature::ggn}) {
    const auto h = f.curvature(s.theta.data(), kind);
    const Buffer<double> u(context(), null);
    Buffer<double> hu(context(), u.size());
    h->apply(vector_view<const double>(u.data(), n, hidden + 1), vector_view(hu.data(), n, hidden + 1));
    const auto analysis = analyze_spectrum(*h, {.method = SpectrumMethod::dense, .vectors = true});
    const double rounding = 30 * analysis.rank->tolerance;
    for (double x : hu.download()) EXPECT_LE(std::abs(x), rounding);
    EXPECT_GE(analysis.rank->inertia.zero, hidden + 1);
    const Numbers v = analysis.vectors.download();
    for (Index k = 0; k <= hidden; ++k) {
      double inside = 0;
      for (Index i = 0; i < n; ++i) {
        double along = 0;
        for (Index j = 0; j < n; ++j)
          along += v[static_cast<std::size_t>(i * n + j)] * null[static_cast<std::size_t>(k * n + j)];
        if (std::abs(analysis.eigenvalues[static_cast<std::size_t>(i)]) <= rounding) inside += along * along;
      }
      EXPECT_NEAR(inside, 1, 1e-10);
    }
  }
}

TEST_P(CurvatureKinds, WhatDoesNotFitIsRefusedBeforeAnythingIsWritten) {
  Setting<double> s(context(), "mlp:5-3", LossKind::cross_entropy, 4);
  EXPECT_THROW(s.objective({.fisher_draws = 0}), UsageError);
  auto f = s.objective({.weight_decay = 1});
  Buffer<double> v(context(), 4 * s.n());
  for (Curvature kind : {Curvature::hessian, Curvature::fisher_mc, Curvature::gradient_outer}) {
    const auto a = f.curvature(s.theta.data(), kind);
    EXPECT_THROW(a->apply(vector_view<const double>(v.data(), s.n(), 4), vector_view(v.data(), s.n())), InputError);
    EXPECT_THROW(a->apply(vector_view<const double>(v.data(), s.n() - 1), vector_view(v.data(), s.n() - 1)),
                 InputError);
  }
}

TEST_P(CurvatureKinds, ObjectivesWithoutOutputsSaySo) {
  Setting<double> s(context(), "mlp:5-3", LossKind::cross_entropy, 4);
  auto f = s.objective();
  const auto base = [&](Curvature kind) { return f.Objective<double>::curvature(s.theta.data(), kind); };
  for (Curvature kind : {Curvature::ggn, Curvature::fisher_mc, Curvature::fisher_empirical})
    EXPECT_TRUE(contains(message_of<UsageError>([&] { base(kind); }), name_of(kind), "gradient_outer"));
  for (const std::string& name : curvature_names()) EXPECT_EQ(name_of(parse_curvature(name)), name);
}

}  // namespace
}  // namespace hso::test
