// SPDX-License-Identifier: Apache-2.0
//
// Mini-batch K-FAC and EKFAC against dense blocks where they are exact, and against their own factors elsewhere.
#include <gtest/gtest.h>

#include <cmath>

#include "hsogpu/linalg/solvers.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/matrix_methods.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"

namespace hso::test {
namespace {

class KfacMethods : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, KfacMethods, testing::ValuesIn(contexts()), device_word);

const OptimizerSettings kPlain{{"rate", "1"}, {"momentum", "0"}, {"kl_clip", "0"}, {"delta", "0.05"}};

template <class T>
Numbers step_of(Objective<T>& f, Buffer<T>& theta, Optimizer<T>& optimizer, StepReport* report = nullptr) {
  const Numbers before = widen(theta.download());
  const StepReport r = optimizer.step(f, theta.data());
  EXPECT_EQ(r.status, StepStatus::accepted) << r.message;
  if (report != nullptr) *report = r;
  Numbers moved = widen(theta.download());
  for (std::size_t i = 0; i < moved.size(); ++i) moved[i] -= before[i];
  return moved;
}

template <class T>
Numbers gradient_of(Objective<T>& f, const Buffer<T>& theta) {
  Buffer<T> g(f.context(), theta.size());
  f.gradient(theta.data(), g.data());
  return widen(g.download());
}

/// Softmax regression at theta = 0: every sample's root is the same, so that Kronecker factors are the Gauss-Newton
/// matrix and EKFAC solves the damped system.
TEST_P(KfacMethods, EkfacSolvesTheDampedSystemWhereFactorsAreExact) {
  Setting<double> s(context(), "mlp:5-3", LossKind::cross_entropy, 40);
  context().ops<double>().fill(s.n(), 0, s.theta.data());
  auto f = s.objective();
  Buffer<double> g(context(), s.n()), x(context(), s.n());
  f.gradient(s.theta.data(), g.data());
  const auto ggn = f.curvature(s.theta.data(), Curvature::ggn);
  AffineOperator<double> damped(*ggn, 1, 0.05);
  ASSERT_TRUE(cg<double>(damped, g.view(), x.view(), {.tolerance = 1e-13}).converged());
  const Numbers newton = x.download();
  const auto ekfac = make_optimizer<double>("ekfac", with(kPlain, {{"factors", "ggn"}}));
  const Numbers moved = step_of<double>(f, s.theta, *ekfac);
  for (std::size_t i = 0; i < moved.size(); ++i) EXPECT_NEAR(moved[i], -newton[i], 1e-10);
}

/// The same point for K-FAC, whose damping is factored: B = I/3 - 11'/9 and A the inputs' second moments, by loops.
TEST_P(KfacMethods, KfacSolvesTheFactoredSystemWhereFactorsAreExact) {
  for_types([&]<class T>() {
    const std::size_t rows = 40;
    Setting<T> s(context(), "mlp:5-3", LossKind::cross_entropy, static_cast<Index>(rows));
    context().ops<T>().fill(s.n(), 0, s.theta.data());
    auto f = s.objective();
    Matrix a(6, 6), b(3, 3);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < 6; ++i)
        for (std::size_t j = 0; j < 6; ++j) {
          const auto x = [&](std::size_t k) { return k == 5 ? 1 : s.inputs.inputs[5 * r + k]; };
          a(i, j) += x(i) * x(j) / static_cast<double>(rows);
        }
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) b(i, j) = (i == j ? 1.0 / 3 : 0.0) - 1.0 / 9;
    double trace_a = 0, trace_b = 0;
    for (std::size_t i = 0; i < 6; ++i) trace_a += a(i, i) / 6;
    for (std::size_t i = 0; i < 3; ++i) trace_b += b(i, i) / 3;
    const double pi = std::sqrt(trace_a / trace_b);
    for (std::size_t i = 0; i < 6; ++i) a(i, i) += pi * std::sqrt(0.05);
    for (std::size_t i = 0; i < 3; ++i) b(i, i) += std::sqrt(0.05) / pi;
    const Numbers g = gradient_of<T>(f, s.theta);
    const auto kfac = make_optimizer<T>("kfac", with(kPlain, {{"factors", "ggn"}}));
    const Numbers moved = step_of<T>(f, s.theta, *kfac);
    Matrix v(3, 6);
    for (std::size_t o = 0; o < 3; ++o)
      for (std::size_t i = 0; i < 6; ++i) v(o, i) = i == 5 ? moved[15 + o] : moved[5 * o + i];
    const Matrix back = b * v * a;
    const double tolerance = sizeof(T) == 8 ? 1e-13 : 1e-6;
    for (std::size_t o = 0; o < 3; ++o)
      for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(back(o, i), -(i == 5 ? g[15 + o] : g[5 * o + i]), tolerance);
  });
}

/// One sample, one layer: the empirical Fisher matrix is g g', and its damped inverse times g is g / (|g|^2 + delta).
TEST_P(KfacMethods, EkfacOfOneSampleIsShermanMorrison) {
  for_types([&]<class T>() {
    Setting<T> s(context(), "mlp:5-3", LossKind::squared_error, 1);
    auto f = s.objective();
    const Numbers g = gradient_of<T>(f, s.theta);
    double square = 0;
    for (double x : g) square += x * x;
    const auto ekfac = make_optimizer<T>("ekfac", with(kPlain, {{"factors", "fisher_empirical"}}));
    const Numbers moved = step_of<T>(f, s.theta, *ekfac);
    for (std::size_t i = 0; i < g.size(); ++i)
      EXPECT_NEAR(moved[i], -g[i] / (square + 0.05), sizeof(T) == 8 ? 1e-13 : 2e-5);
  });
}

Matrix factor(const std::vector<double>& entries) {
  Matrix out(static_cast<std::size_t>(std::lround(std::sqrt(entries.size()))), 0);
  out.columns = out.rows;
  out.entries = entries;
  return out;
}
double mean_diagonal(const Matrix& a) {
  double sum = 0;
  for (std::size_t i = 0; i < a.rows; ++i) sum += a(i, i) / static_cast<double>(a.rows);
  return sum;
}

/// The third step sees the averages of three batches' factors, with weights 1/k up to decay, and decayed weights join
/// the damping. Every block's step times the damped factors gives the gradient back.
TEST_P(KfacMethods, FactorsAreAveragedOverSteps) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 30);
  auto f = s.objective({.batch = 4, .weight_decay = 0.01});
  const auto kfac = make_optimizer<double>(
      "kfac",
      with(kPlain,
           {{"rate", "0.1"}, {"decay", "0.6"}, {"factor_every", "1"}, {"inverse_every", "2"}, {"factors", "ggn"}}));
  std::vector<Matrix> a(2), b(2);
  Numbers g, moved;
  for (int i = 0; i < 3; ++i) {
    f.select(std::vector<Index>{3 * i, 3 * i + 1, 3 * i + 2, 20 + i, 7, 9});
    const auto k = f.kronecker(s.theta.data(), {.source = Curvature::ggn});
    const double keep = std::min(1 - 1.0 / (i + 1), 0.6);
    for (std::size_t block = 0; block < 2; ++block) {
      const Matrix na = factor(k->input_factor(static_cast<Index>(block))),
                   nb = factor(k->output_factor(static_cast<Index>(block)));
      a[block] = i == 0 ? na : scaled_sum(keep, a[block], 1 - keep, na);
      b[block] = i == 0 ? nb : scaled_sum(keep, b[block], 1 - keep, nb);
    }
    g = gradient_of<double>(f, s.theta);
    moved = step_of<double>(f, s.theta, *kfac);
  }
  std::size_t at = 0;
  for (std::size_t block = 0; block < 2; ++block) {
    const double pi = std::sqrt(mean_diagonal(a[block]) / mean_diagonal(b[block])), root = std::sqrt(0.06);
    const std::size_t m = b[block].rows, n = a[block].rows, weights = m * (n - 1);
    for (std::size_t i = 0; i < n; ++i) a[block](i, i) += root * pi;
    for (std::size_t i = 0; i < m; ++i) b[block](i, i) += root / pi;
    const auto entry = [&](const Numbers& x, std::size_t o, std::size_t i) {
      return i + 1 == n ? x[at + weights + o] : x[at + o * (n - 1) + i];
    };
    Matrix v(m, n);
    for (std::size_t o = 0; o < m; ++o)
      for (std::size_t i = 0; i < n; ++i) v(o, i) = entry(moved, o, i) / -0.1;
    const Matrix back = b[block] * v * a[block];
    for (std::size_t o = 0; o < m; ++o)
      for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(back(o, i), entry(g, o, i), 1e-12);
    at += m * n;
  }
}

/// nu makes rate^2 nu^2 g'F^-1 g equal to the bound.
TEST_P(KfacMethods, TheClipBoundsTheStep) {
  for (const char* name : {"kfac", "ekfac"}) {
    Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 30);
    auto f = s.objective();
    const Numbers start = s.theta.download(), g = gradient_of<double>(f, s.theta);
    const OptimizerSettings base = with(kPlain, {{"rate", "0.5"}, {"momentum", "0.9"}});
    const Numbers whole = step_of<double>(f, s.theta, *make_optimizer<double>(name, base));
    double along = 0;
    for (std::size_t i = 0; i < g.size(); ++i) along -= 0.5 * g[i] * whole[i];
    s.theta.upload(start);
    StepReport report;
    const Numbers clipped =
        step_of<double>(f, s.theta, *make_optimizer<double>(name, with(base, {{"kl_clip", "1e-4"}})), &report);
    ASSERT_LT(1e-4, along);
    for (std::size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(clipped[i], whole[i] * std::sqrt(1e-4 / along), 1e-12);
    s.theta.upload(start);
    const Numbers loose = step_of<double>(f, s.theta, *make_optimizer<double>(name, with(base, {{"kl_clip", "1e4"}})));
    EXPECT_EQ(loose, whole);
  }
}

/// Convolutions with groups: the damped blocks are positive definite, so a small step descends.
TEST_P(KfacMethods, ConvolutionsDescend) {
  const ModelSpec model = parse_model_toml(
      "input = [2, 5, 4]\n[[layer]]\ntype = \"conv2d\"\nout = 4\nkernel = 2\ngroups = 2\n[[layer]]\ntype = \"tanh\"\n"
      "[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"linear\"\nout = 3\n",
      "grouped.toml");
  for (const char* name : {"kfac", "ekfac"})
    for_types([&]<class T>() {
      Setting<T> s(context(), model, LossKind::cross_entropy, 20);
      auto f = s.objective();
      const double before = f.value(s.theta.data());
      const Numbers g = gradient_of<T>(f, s.theta);
      const Numbers moved =
          step_of<T>(f, s.theta, *make_optimizer<T>(name, with(kPlain, {{"rate", "0.02"}, {"delta", "1"}})));
      double slope = 0;
      for (std::size_t i = 0; i < g.size(); ++i) slope += g[i] * moved[i];
      EXPECT_LT(slope, 0);
      EXPECT_LT(f.value(s.theta.data()), before);
    });
}

}  // namespace
}  // namespace hso::test
