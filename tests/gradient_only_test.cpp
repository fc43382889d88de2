// SPDX-License-Identifier: Apache-2.0
//
// Functions that give their value and gradient alone: Hessians by differences along the coordinates.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/objective/check.hpp"
#include "hsogpu/optim/minimize.hpp"
#include "support/functions.hpp"
#include "support/gradient_only.hpp"
#include "support/least_squares.hpp"
#include "support/messages.hpp"
#include "support/mgh_problems.hpp"
#include "support/nist_problems.hpp"

namespace hso::test {
namespace {

using Numbers = std::vector<double>;

class GradientOnlyTest : public testing::Test {
 protected:
  std::unique_ptr<Context> cpu_ = Context::create("cpu");
};

Numbers dense(LinearOperator<double>& a) {
  Numbers h(static_cast<std::size_t>(a.dimension() * a.dimension()));
  a.to_dense(h.data());
  return h;
}

/// y = b0 b1 x / (1 + b1 x), a monomolecular adsorption, with b0 about 400 and b1 about 3e-4, in units of the two.
std::shared_ptr<const Residuals> adsorption(const Numbers& unit) {
  return residuals_of([unit]<class S>(const std::vector<S>& b) {
    const Numbers x{60, 110, 160, 210, 260, 310, 360, 410, 460, 510, 560, 610, 660, 710};
    const Numbers y{7.1, 12.9, 18.3, 23.7, 29.0, 34.2, 39.1, 43.8, 48.5, 53.0, 57.4, 61.6, 65.9, 69.8};
    std::vector<S> r;
    for (std::size_t k = 0; k < x.size(); ++k) {
      const S b0 = b[0] * S(unit[0]), bx = b[1] * S(unit[1] * x[k]);
      r.push_back(b0 * bx / (S(1) + bx) - S(y[k]));
    }
    return r;
  });
}

TEST_F(GradientOnlyTest, ParametersOfVeryDifferentSizesAreFitted) {
  Numbers want{500, 1e-4};
  auto reference = least_squares(*cpu_, adsorption({1, 1}), want);
  ASSERT_TRUE(minimize(*make_optimizer<double>("hso", robust_settings("ggn")), reference, want).converged());
  for (const Numbers& unit : {Numbers{1, 1}, Numbers{1e-12, 1e9}, Numbers{1e20, 1e-20}})
    for (const Numbers& start : {Numbers{500, 1e-4}, Numbers{450, 3e-4}}) {
      Numbers b{start[0] / unit[0], start[1] / unit[1]};
      auto fit = least_squares(*cpu_, adsorption(unit), b);
      GradientOnly f(*cpu_, fit);
      const Summary s = minimize(f.objective, b);
      EXPECT_TRUE(s.converged()) << name_of(s.termination) << ": " << s.message;
      EXPECT_NEAR(b[0] * unit[0], want[0], 1e-6 * want[0]);
      EXPECT_NEAR(b[1] * unit[1], want[1], 1e-6 * want[1]);
      EXPECT_EQ(s.gradients, f.gradients);
      EXPECT_EQ(s.inertia, (Inertia{2, 0, 0}));
    }
}

TEST_F(GradientOnlyTest, TheDifferencedHessianIsThatOfTheUnits) {
  const Numbers unit{1e-3, 1e4};
  Numbers b{400 / unit[0], 3e-4 / unit[1]};
  const auto r = adsorption(unit);
  auto fit = least_squares(*cpu_, r, b);
  GradientOnly f(*cpu_, fit);
  const auto differences = f.objective.curvature(b.data(), Curvature::hessian);
  const Numbers got = dense(*differences), want = hessian_of(*r, b);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(got[i], want[i],
                1e-8 * std::sqrt(std::fabs(want[0] * want[3])) *
                    (i == 0   ? std::sqrt(std::fabs(want[0] / want[3]))
                     : i == 3 ? std::sqrt(std::fabs(want[3] / want[0]))
                              : 1))
        << i;
  EXPECT_EQ(f.gradients, 4);
  Numbers v{1 / unit[0], 1 / unit[1]}, hv(2);
  differences->apply(vector_view<const double>(v.data(), 2), vector_view(hv.data(), 2));
  EXPECT_EQ(f.gradients, 4);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_NEAR(hv[i], got[2 * i] * v[0] + got[2 * i + 1] * v[1], 1e-12 * std::fabs(hv[i]));
}

/// log x - x / 2 on x > 0 alone, close to its edge, and a function that no double holds a little further up.
TEST_F(GradientOnlyTest, DifferencesStayWhereTheGradientIsFinite) {
  GradientOnly edge(*cpu_, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = *x > 1 ? 1 / std::sqrt(*x - 1) : NAN;
    return *x > 1 ? 2 * std::sqrt(*x - 1) : NAN;
  });
  const Numbers near{1 + 1e-9}, there{1 + 1e-15};
  EXPECT_NEAR(dense(*edge.objective.curvature(near.data(), Curvature::hessian))[0] * 2 * std::pow(near[0] - 1, 1.5), -1,
              1e-1);
  EXPECT_TRUE(std::isfinite(dense(*edge.objective.curvature(there.data(), Curvature::hessian))[0]));
  GradientOnly steep(*cpu_, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = std::exp(*x) - 1;
    return std::exp(*x) - *x;
  });
  Numbers x{300};
  const Summary s = minimize(steep.objective, x, {.max_steps = 2000});
  EXPECT_TRUE(s.converged()) << name_of(s.termination) << ": " << s.message;
  EXPECT_NEAR(x[0], 0, 1e-6);
}

/// Of one variable, where no asymmetry tells: the error that is said covers the one that is made, and is not all of it
/// where there is a Hessian to see.
TEST_F(GradientOnlyTest, TheErrorOfADifferencedColumnIsCovered) {
  const auto error_at = [&](const std::function<double(double)>& slope, double x, double want) {
    GradientOnly f(*cpu_, 1, [&](const double* at, double* g) {
      if (g != nullptr) *g = slope(*at);
      return 0.0;
    });
    const auto a = f.objective.curvature(&x, Curvature::hessian);
    const double made = std::fabs(dense(*a)[0] / want - 1), said = a->relative_error();
    EXPECT_GE(said, made) << x;
    return said;
  };
  for (int i = 0; i < 20; ++i) {
    const double x = 1 + 0.037 * i;
    EXPECT_LE(error_at([](double t) { return 1e8 + t; }, x, 1), 0.1);
    EXPECT_LE(error_at([](double t) { return t; }, x, 1), 1e-9);
  }
  // An edge at x: from one side, over the step that is best.
  EXPECT_LE(error_at([](double t) { return t >= 1 ? t * t : NAN; }, 1, 2), 1e-6);
  EXPECT_LE(error_at([](double t) { return t >= 1 ? 1e3 + t * t * t : NAN; }, 1, 3), 1e-5);
}

TEST_F(GradientOnlyTest, AFarStartHasFiniteCurvature) {
  const auto box = residuals_of([]<class S>(const std::vector<S>& x) {
    std::vector<S> r;
    for (int i = 1; i <= 10; ++i) {
      const S t(0.1 * i);
      r.push_back(exp(-t * x[0]) - exp(-t * x[1]) - x[2] * (exp(-t) - exp(S(-10) * t)));
    }
    return r;
  });
  for (double factor : {1.0, 10.0, 100.0}) {
    Numbers x{0, 10 * factor, 20 * factor};
    auto fit = least_squares(*cpu_, box, x);
    GradientOnly f(*cpu_, fit);
    const Summary s = minimize(f.objective, x);
    EXPECT_NE(s.termination, Termination::not_finite) << s.message;
    if (factor == 1) {
      EXPECT_LE(s.value, 1e-20) << name_of(s.termination) << s.message;
    }
  }
}

/// All but Eckerle4 from its first start, as with the exact Hessian: there the peak narrows onto one observation, where
/// f is flat, and the eigenvalues that are zero say so.
TEST_F(GradientOnlyTest, NistFitsAreSolvedToFourDigits) {
  int right = 0, six = 0, runs = 0;
  std::string lost;
  for (const NistProblem& p : nist_problems())
    for (const Numbers& start : p.starts) {
      Numbers b = start;
      auto fit = least_squares(*cpu_, p.residuals, b);
      GradientOnly f(*cpu_, fit);
      const Summary s = minimize(f.objective, b, {.max_steps = 2000});
      const double digits = correct_digits(p, b);
      ++runs;
      right += digits >= 4;
      six += digits >= 6;
      if (digits < 4) lost += " " + p.name + " (" + name_of(s.termination) + ")";
      EXPECT_TRUE(digits >= 4 || !s.converged() || (s.inertia && s.inertia->zero > 0))
          << p.name << " claims a minimum, " << s.message;
      EXPECT_EQ(s.gradients, f.gradients) << p.name;
      EXPECT_EQ(s.values, f.values) << p.name;
    }
  EXPECT_EQ(runs, 36);
  EXPECT_GE(right, 35) << "lost:" << lost;
  EXPECT_GE(six, 35);
  RecordProperty("right", right);
}

/// r_k = model(b, x_k) - y_k, starts and the certified minimizer.
struct Regression {
  const char* name;
  std::shared_ptr<const Residuals> residuals;
  std::vector<Numbers> starts;
  Numbers certified;
  bool exchangeable = false;  ///< the model is the same with terms in another order
};

template <class Model>
Regression regression(const char* name, const Numbers& x, const Numbers& y, Model model, std::vector<Numbers> starts,
                      Numbers certified, bool exchangeable = false) {
  const auto residuals = residuals_of([=]<class S>(const std::vector<S>& b) {
    std::vector<S> r;
    for (std::size_t k = 0; k < x.size(); ++k) r.push_back(model(b, x[k]) - S(y[k]));
    return r;
  });
  return {name, residuals, std::move(starts), std::move(certified), exchangeable};
}

/// NIST StRD regressions that are not among nist_problems().
std::vector<Regression> further_regressions() {
  Numbers meyer_x, rat_x, lanczos_x, lanczos_y;
  for (int k = 0; k < 16; ++k) meyer_x.push_back(50 + 5 * k);
  for (int k = 0; k < 15; ++k) rat_x.push_back(k + 1);
  for (int k = 0; k < 24; ++k) {
    const double t = 0.05 * k;
    lanczos_x.push_back(t);
    lanczos_y.push_back(0.0951 * std::exp(-t) + 0.8607 * std::exp(-3 * t) + 1.5576 * std::exp(-5 * t));
  }
  return {
      regression("Misra1d",
                 {77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0},
                 {10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78},
                 []<class S>(const std::vector<S>& b, double x) { return b[0] * b[1] * S(x) / (S(1) + b[1] * S(x)); },
                 {{500, 1e-4}, {450, 3e-4}}, {4.3736970754e2, 3.0227324449e-4}),
      regression(
          "Lanczos1", lanczos_x, lanczos_y,
          []<class S>(const std::vector<S>& b, double x) {
            return b[0] * exp(-b[1] * S(x)) + b[2] * exp(-b[3] * S(x)) + b[4] * exp(-b[5] * S(x));
          },
          {{1.2, 0.3, 5.6, 5.5, 6.5, 7.6}, {0.5, 0.7, 3.6, 4.2, 4, 6.3}}, {0.0951, 1, 0.8607, 3, 1.5576, 5}, true),
      regression(
          "MGH10", meyer_x,
          {34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872},
          []<class S>(const std::vector<S>& b, double x) { return b[0] * exp(b[1] / (S(x) + b[2])); },
          {{0.02, 4000, 250}}, {5.6096364710e-3, 6.1813463463e3, 3.4522363462e2}),
      regression("Rat43", rat_x,
                 {16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53, 590.03, 651.92, 724.93, 699.56, 689.96,
                  637.56, 717.41},
                 []<class S>(const std::vector<S>& b, double x) {
                   return b[0] * exp(-log(S(1) + exp(b[1] - b[2] * S(x))) / b[3]);
                 },
                 {{100, 10, 1, 1}, {700, 5, 0.75, 1.3}}, {6.9964151270e2, 5.2771253025, 7.5962938329e-1, 1.2792483859}),
  };
}

/// MGH10 from its second start alone: from the first, theta runs away on a plateau or creeps along a curved valley,
/// as rounding has it.
TEST_F(GradientOnlyTest, FurtherRegressionsAreSolved) {
  for (const Regression& p : further_regressions())
    for (std::size_t start = 0; start < p.starts.size(); ++start) {
      Numbers b = p.starts[start];
      auto fit = least_squares(*cpu_, p.residuals, b);
      GradientOnly f(*cpu_, fit);
      const Summary s = minimize(f.objective, b, {.max_steps = 2000});
      Numbers want = p.certified;
      if (p.exchangeable)
        for (Numbers* each : {&b, &want}) std::sort(each->begin(), each->end());
      for (std::size_t i = 0; i < b.size(); ++i)
        EXPECT_NEAR(b[i], want[i], 1e-4 * std::fabs(want[i]))
            << p.name << " from start " << start + 1 << ", " << name_of(s.termination) << ": " << s.message;
      EXPECT_TRUE(s.converged()) << p.name << " from start " << start + 1 << ": " << s.message;
      EXPECT_EQ(s.gradients, f.gradients) << p.name;
      EXPECT_EQ(s.values, f.values) << p.name;
      EXPECT_EQ(static_cast<int>(s.history.size()), s.solves) << p.name;
    }
}

/// Of a fit with parameters of very different sizes: whichever column of the Jacobian is turned, it is named.
TEST_F(GradientOnlyTest, TheCheckerNamesTheTurnedColumn) {
  const auto r = adsorption({1, 1});
  const Numbers b{500, 1e-4};
  for (int turned : {-1, 0, 1}) {
    LeastSquaresObjective<double> f(*cpu_, 2, 14, {.residuals = [&](const double* x, double* out, double* j) {
      const Numbers at(x, x + 2);
      for (double e : r->at(at)) *out++ = e;
      if (j == nullptr) return;
      const Numbers jacobian = jacobian_of(*r, at);
      for (int i = 0; i < 28; ++i)
        j[i] = i % 2 == turned ? -jacobian[static_cast<std::size_t>(i)] : jacobian[static_cast<std::size_t>(i)];
    }});
    const CheckReport report = check_derivatives(f, b.data());
    EXPECT_EQ(report.passed(), turned < 0) << report.table();
    const CheckItem* item = report.find("gradient = differences of the value");
    ASSERT_NE(item, nullptr);
    EXPECT_TRUE(turned < 0 || contains(item->note, "coordinate " + std::to_string(turned)));
  }
}

}  // namespace
}  // namespace hso::test
