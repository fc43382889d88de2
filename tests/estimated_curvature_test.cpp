// SPDX-License-Identifier: Apache-2.0
//
// Curvature from a few products or gradients: Hutchinson's diagonals with their error bars, and secant matrices.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

class EstimatedCurvature : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, EstimatedCurvature, testing::ValuesIn(contexts()), device_word);

std::size_t at(Index i, Index j, Index n) { return static_cast<std::size_t>(i * n + j); }

TEST_P(EstimatedCurvature, HutchinsonDiagonalsHaveErrorBars) {
  const Index n = 40, probes = 60;
  DenseOperator<double> a(context(), n, random_symmetric(n, 3));
  const DiagonalEstimate d = diagonal(a, {.probes = probes, .seed = 1});
  double squares = 0;
  for (Index i = 0; i < n; ++i) {
    double off = 0;
    for (Index j = 0; j < n; ++j) off += i == j ? 0 : a.host()[at(i, j, n)] * a.host()[at(i, j, n)];
    const double error = std::sqrt(off / probes),
                 z = (d.values[static_cast<std::size_t>(i)] - a.host()[at(i, i, n)]) / error;
    squares += z * z;
    // The variance of a variance of m nearly normal numbers is 2 / (m - 1): four of its standard deviations.
    EXPECT_NEAR(d.standard_errors[static_cast<std::size_t>(i)] / error, 1, 4 * std::sqrt(0.5 / (probes - 1)));
  }
  EXPECT_NEAR(squares / n, 1, 4 * std::sqrt(2.0 / n));  // of 40 nearly independent squares
  DiagonalOperator<double> plain(context(), Span<const double>(Numbers{1, -2, 3}));
  const DiagonalEstimate exact = diagonal(plain, {.probes = 5});
  EXPECT_EQ(exact.values, (Numbers{1, -2, 3}));
  EXPECT_EQ(exact.standard_errors, (Numbers{0, 0, 0}));
  EXPECT_THROW(diagonal(plain, {.probes = 1}), InputError);
}

TEST_P(EstimatedCurvature, TheHessiansDiagonalIsEstimated) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 9);
  auto f = s.objective({.weight_decay = 0.2, .factors = Curvature::hessian, .diagonal_probes = 4000});
  const Numbers h = s.dense(f, Curvature::hessian), d = s.dense(f, Curvature::diagonal);
  for (Index i = 0; i < s.n(); ++i) {
    double off = 0;
    for (Index j = 0; j < s.n(); ++j) off += i == j ? 0 : h[at(i, j, s.n())] * h[at(i, j, s.n())];
    EXPECT_NEAR(d[at(i, i, s.n())], h[at(i, i, s.n())], 5 * std::sqrt(off / 4000));
  }
}

/// Forward differences: the error is h |f'''| / 2 and rounding eps |g| / h, both near sqrt(eps).
TEST_P(EstimatedCurvature, AxisSecantsAreTheHessian) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 9);
  auto f = s.objective({.weight_decay = 0.2});
  EXPECT_LE(worst(s.dense(f, Curvature::secant), s.dense(f, Curvature::hessian)), 1e-6);
}

TEST_P(EstimatedCurvature, SgdSecantsAreTheFormula) {
  Setting<double> s(context(), "mlp:5-3", LossKind::cross_entropy, 9);
  const double rate = 0.1, cutoff = 0.05;
  const Index count = 3, n = s.n();
  auto f = s.objective({.secant = {.steps = SecantSteps::sgd, .count = count, .rate = rate, .cutoff = cutoff}});
  const auto gradient_at = [&](const Numbers& x) {
    Buffer<double> theta(context(), x), g(context(), n);
    f.gradient(theta.data(), g.data());
    return g.download();
  };
  Numbers x = s.theta.download(), g = gradient_at(x), expected(static_cast<std::size_t>(n * n));
  for (Index t = 0; t < count; ++t) {
    Numbers d(g), moved(x);
    double most = 0;
    for (std::size_t i = 0; i < d.size(); ++i) {
      moved[i] = x[i] - rate * g[i];
      d[i] = moved[i] - x[i];
      most = std::max(most, std::abs(d[i]));
    }
    const Numbers next = gradient_at(moved);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j) {
        const auto p = static_cast<std::size_t>(i), q = static_cast<std::size_t>(j);
        if (std::abs(d[q]) <= cutoff * most) continue;
        const double entry = (next[p] - g[p]) / d[q] / static_cast<double>(2 * count);
        expected[at(i, j, n)] += entry;
        expected[at(j, i, n)] += entry;
      }
    x = moved;
    g = next;
  }
  EXPECT_LE(worst(s.dense(f, Curvature::secant), expected), 1e-12);
  auto wrong = s.objective({.secant = {.steps = SecantSteps::sgd, .count = 0}});
  EXPECT_THROW(wrong.curvature(s.theta.data(), Curvature::secant), UsageError);
}

}  // namespace
}  // namespace hso::test
