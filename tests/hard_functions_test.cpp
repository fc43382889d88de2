// SPDX-License-Identifier: Apache-2.0
//
// Functions that are hard to minimise, all with one setting of the dense form of HSO (robust_settings): NIST StRD
// nonlinear regression and the test functions of More, Garbow and Hillstrom.
#include <gtest/gtest.h>

#include "hsogpu/optim/minimize.hpp"
#include "support/compare.hpp"
#include "support/least_squares.hpp"
#include "support/mgh_problems.hpp"
#include "support/nist_problems.hpp"

namespace hso::test {
namespace {

using Numbers = std::vector<double>;

class HardFunctions : public testing::Test {
 protected:
  Summary solve(Objective<double>& f, Numbers& x, const std::string& curvature) {
    MinimizeOptions options;
    options.max_steps = 2000;
    return minimize(*make_optimizer<double>("hso", robust_settings(curvature)), f, x, options);
  }
  static Numbers dense(LinearOperator<double>& a) {
    Numbers h(static_cast<std::size_t>(a.dimension() * a.dimension()));
    a.to_dense(h.data());
    return h;
  }
  std::unique_ptr<Context> cpu_ = Context::create("cpu");
};

/// max |a_ij - b_ij| / (d_i d_j), d_i^2 = |b_ii| + extra_ii: entries in the units of their rows and columns.
double scaled_distance(const Numbers& a, const Numbers& b, const Numbers& extra) {
  const auto n = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(b.size()))));
  const auto unit = [&](std::size_t i) { return std::sqrt(std::fabs(b[i * n + i]) + extra[i * n + i]); };
  double worst = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      worst = std::max(worst, std::fabs(a[i * n + j] - b[i * n + j]) / (unit(i) * unit(j)));
  return worst;
}

/// f, g, H and J'J of the golden file, made with other arithmetic from the same formulas.
TEST_F(HardFunctions, NistDerivativesAreThoseOfTheGoldenFile) {
  for (const NistProblem& p : nist_problems())
    for (const NistPoint& at : p.points) {
      SCOPED_TRACE(p.name);
      auto f = least_squares(*cpu_, p.residuals, at.b);
      const std::size_t n = at.b.size();
      Numbers g(n);
      // Residuals lose the digits that model and data have in common: of the order of 1e-16 |y| / |r|.
      EXPECT_TRUE(close(f.gradient(at.b.data(), g.data()), at.value, 1e-9));
      const double size = std::sqrt(2 * at.value);
      for (std::size_t i = 0; i < n; ++i)
        EXPECT_NEAR(g[i], at.gradient[i], 1e-8 * size * std::sqrt(at.gauss_newton[i * n + i])) << i;
      const Numbers a = dense(*f.curvature(at.b.data(), Curvature::ggn));
      EXPECT_LT(scaled_distance(a, at.gauss_newton, at.gauss_newton), 1e-11);
      const Numbers h = dense(*f.curvature(at.b.data(), Curvature::hessian));
      EXPECT_LT(scaled_distance(h, at.hessian, at.gauss_newton), 1e-10);
    }
}

struct Tally {
  int right = 0, runs = 0, standard_deviations = 0;
  std::string lost;
};

/// |got - want| / |want| <= 1e-6 for every standard deviation, in the order of the certified values or another one.
bool same_deviations(const NistProblem& p, const Numbers& got) {
  NistProblem by_deviations = p;
  by_deviations.certified = p.certified_sd;
  return correct_digits(by_deviations, got) >= 6;
}

TEST_F(HardFunctions, NistWithTheGaussNewtonMatrix) {
  Tally t;
  for (const NistProblem& p : nist_problems())
    for (const Numbers& start : p.starts) {
      Numbers b = start;
      auto f = least_squares(*cpu_, p.residuals, b);
      const Summary s = solve(f, b, "ggn");
      const double digits = correct_digits(p, b);
      t.right += digits >= 4;
      ++t.runs;
      if (digits < 4) t.lost += " " + p.name;
      EXPECT_NEAR(s.value, f.value(b.data()), 1e-12 * s.value) << p.name;
      EXPECT_TRUE(!s.converged() || digits >= 4) << p.name << " claims to have converged, " << s.message;
      EXPECT_TRUE(s.converged() || s.termination == Termination::stalled || s.termination == Termination::steps)
          << p.name << " " << name_of(s.termination) << ": " << s.message;
      if (!s.converged()) continue;
      EXPECT_TRUE(same_deviations(p, f.standard_deviations(b.data()))) << p.name;
      ++t.standard_deviations;
    }
  EXPECT_EQ(t.runs, 36);
  EXPECT_GE(t.right, 35) << "lost:" << t.lost;
  EXPECT_GE(t.standard_deviations, 32);
  RecordProperty("right", t.right);
}

/// The exact Hessian, indefinite far from the solution, and sign = abs.
TEST_F(HardFunctions, NistWithTheExactHessianAlone) {
  Tally t;
  for (const NistProblem& p : nist_problems())
    for (const Numbers& start : p.starts) {
      Numbers b = start, g(b.size());
      auto f = least_squares(*cpu_, p.residuals, b);
      const Summary s = solve(f, b, "hessian");
      const double digits = correct_digits(p, b);
      t.right += digits >= 4;
      ++t.runs;
      if (digits < 4) t.lost += " " + p.name + " (" + name_of(s.termination) + ")";
      if (!s.converged()) continue;
      // Where the answer is another one, it is a stationary point of its own.
      f.gradient(b.data(), g.data());
      const Numbers a = dense(*f.curvature(b.data(), Curvature::ggn));
      for (std::size_t i = 0; i < b.size(); ++i)
        EXPECT_LE(std::fabs(g[i]), 1e-6 * std::sqrt(2 * s.value * a[i * b.size() + i])) << p.name << " entry " << i;
    }
  EXPECT_EQ(t.runs, 36);
  EXPECT_GE(t.right, 33) << "lost:" << t.lost;
  RecordProperty("right", t.right);
}

TEST_F(HardFunctions, MghDerivativesAreThoseOfTheGoldenFile) {
  for (const MghProblem& p : mgh_problems())
    for (const MghPoint& at : p.points) {
      SCOPED_TRACE(p.name);
      auto f = least_squares(*cpu_, p.residuals, at.x, std::sqrt(2.0));
      Numbers g(at.x.size());
      EXPECT_TRUE(close(f.gradient(at.x.data(), g.data()), at.value, 1e-12));
      EXPECT_TRUE(close(g, at.gradient, 1e-12));
      EXPECT_TRUE(close(dense(*f.curvature(at.x.data(), Curvature::hessian)), at.hessian, 1e-12));
    }
}

bool solved(const MghProblem& p, const Numbers& x, double value) {
  if (p.minimum.value < 1e-30 && value < 1e-16) return true;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!(std::fabs(x[i] - p.minimum.x[i]) <= 1e-4 * std::max(1.0, std::fabs(p.minimum.x[i])))) return false;
  return true;
}

TEST_F(HardFunctions, MghFromTheStandardStart) {
  for (const char* curvature : {"ggn", "hessian"})
    for (const MghProblem& p : mgh_problems()) {
      Numbers x = p.points[0].x;
      auto f = least_squares(*cpu_, p.residuals, x, std::sqrt(2.0));
      const Summary s = solve(f, x, curvature);
      EXPECT_TRUE(solved(p, x, s.value)) << p.name << " with " << curvature << ": " << name_of(s.termination)
                                         << ", f = " << s.value << " against " << p.minimum.value;
    }
}

/// From 10 and 100 times the start some end in a plateau, a local minimum or the box; none says what is not so.
TEST_F(HardFunctions, MghFromFarAwayHasAnHonestVerdict) {
  for (const char* curvature : {"ggn", "hessian"})
    for (const MghProblem& p : mgh_problems())
      for (double factor : {10.0, 100.0}) {
        Numbers x = p.points[0].x, g(x.size());
        for (double& xi : x) xi *= factor;
        auto f = least_squares(*cpu_, p.residuals, x, std::sqrt(2.0));
        const double before = f.value(x.data());
        const Summary s = solve(f, x, curvature);
        SCOPED_TRACE(p.name + " " + curvature + " x" + std::to_string(factor) + ": " + name_of(s.termination));
        if (!std::isfinite(before)) {
          EXPECT_EQ(s.termination, Termination::not_finite);
          continue;
        }
        const double after = f.gradient(x.data(), g.data());
        EXPECT_LE(after, before);
        EXPECT_EQ(after, s.value);
        if (!s.converged()) continue;
        const Numbers a = dense(*f.curvature(x.data(), Curvature::ggn));
        for (std::size_t i = 0; i < x.size(); ++i)
          EXPECT_TRUE(std::fabs(g[i]) <= 1e-12 || std::fabs(g[i]) <= 1e-6 * std::sqrt(2 * after * a[i * x.size() + i]))
              << "g[" << i << "] = " << g[i];
      }
}

}  // namespace
}  // namespace hso::test
