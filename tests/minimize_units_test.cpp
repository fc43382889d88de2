// SPDX-License-Identifier: Apache-2.0
//
// Verdicts of minimize that may depend neither on units nor on the type, and steps that always end.
#include <gtest/gtest.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/function_objective.hpp"
#include "hsogpu/optim/minimize.hpp"
#include "support/functions.hpp"
#include "support/gradient_only.hpp"
#include "support/least_squares.hpp"
#include "support/messages.hpp"

namespace hso::test {
namespace {

using Numbers = std::vector<double>;

class MinimizeUnits : public testing::Test {
 protected:
  Summary solve(const std::string& curvature, Objective<double>& f, Numbers& x, const MinimizeOptions& o = {}) {
    return minimize(*make_optimizer<double>("hso", robust_settings(curvature)), f, x, o);
  }
  std::unique_ptr<Context> cpu_ = Context::create("cpu");
};

TEST_F(MinimizeUnits, AStartNearZeroIsNoObstacle) {
  Smooth f(*cpu_, 1, [](const double* x, double* g, double* h) {
    if (g != nullptr) *g = 2 * (*x - 1);
    if (h != nullptr) *h = 2;
    return (*x - 1) * (*x - 1);
  });
  GradientOnly differences(*cpu_, f);
  for (Objective<double>* objective :
       {static_cast<Objective<double>*>(&f), static_cast<Objective<double>*>(&differences.objective)})
    for (int power = 0; power <= 320; power += 5)
      for (double sign : {1.0, -1.0}) {
        Numbers x{sign * std::pow(10.0, -power)};
        const Summary s = minimize(*objective, x);
        EXPECT_TRUE(s.converged()) << "from " << sign << "e-" << power << ": " << name_of(s.termination) << ", "
                                   << s.message;
        EXPECT_NEAR(x[0], 1, 1e-7) << "from 1e-" << power;
      }
}

TEST_F(MinimizeUnits, AKinkEndsEveryStep) {
  GradientOnly f(*cpu_, 1, [](const double* x, double* g) {
    if (g != nullptr) *g = *x < 0 ? -1 : 1;
    return std::fabs(*x);
  });
  for (double start : {1.3, 1e-150, 1e150}) {
    Numbers x{start};
    const Summary s = minimize(f.objective, x);
    EXPECT_FALSE(s.converged()) << s.message;
    EXPECT_LE(s.value, start);
  }
}

/// y = b0 exp(-b1 t) + b2 in a unit of y and one of t.
std::shared_ptr<const Residuals> decay(double y_unit, double t_unit) {
  return residuals_of([=]<class S>(const std::vector<S>& b) {
    const Numbers t{0, 1, 2, 3, 4, 6, 8, 12}, y{11.9, 8.7, 6.6, 5.1, 4.2, 3.0, 2.5, 2.1};
    std::vector<S> r;
    for (std::size_t k = 0; k < t.size(); ++k)
      r.push_back(b[0] * exp(-b[1] * S(t[k] * t_unit)) + b[2] - S(y[k] * y_unit));
    return r;
  });
}

TEST_F(MinimizeUnits, AFitIsTheSameInEveryUnit) {
  Numbers plain{1, 1, 0};
  auto reference = least_squares(*cpu_, decay(1, 1), plain);
  ASSERT_TRUE(solve("ggn", reference, plain).converged());
  EXPECT_NEAR(plain[1], 0.3848, 1e-4);
  for (const char* curvature : {"ggn", "hessian"})
    for (double y : {1e-14, 1e-60, 1e40})
      for (double t : {1.0, 1e-8, 1e8}) {
        Numbers b{y, 1 / t, 0};
        auto f = least_squares(*cpu_, decay(y, t), b);
        const Summary s = solve(curvature, f, b);
        EXPECT_TRUE(s.converged()) << curvature << " y " << y << " t " << t << ": " << name_of(s.termination)
                                   << s.message;
        EXPECT_NEAR(b[0] / y, plain[0], 1e-5 * plain[0]) << curvature << " y " << y << " t " << t;
        EXPECT_NEAR(b[1] * t, plain[1], 1e-5 * plain[1]) << curvature << " y " << y << " t " << t;
        EXPECT_NEAR(b[2] / y, plain[2], 1e-5 * plain[2]) << curvature << " y " << y << " t " << t;
      }
}

TEST_F(MinimizeUnits, RosenbrockIsSolvedInEveryUnitOfTheValue) {
  for (double unit : {1e-200, 1e-100, 1e-13, 1.0, 1e100, 1e200}) {
    Smooth f(*cpu_, 2, [unit](const double* x, double* g, double* h) {
      const double value = rosenbrock(x, g, h);
      for (int i = 0; g != nullptr && i < 2; ++i) g[i] *= unit;
      for (int i = 0; h != nullptr && i < 4; ++i) h[i] *= unit;
      return unit * value;
    });
    GradientOnly differences(*cpu_, f);
    for (Objective<double>* objective :
         {static_cast<Objective<double>*>(&f), static_cast<Objective<double>*>(&differences.objective)}) {
      Numbers x{-1.2, 1};
      const Summary s = minimize(*objective, x);
      EXPECT_TRUE(s.converged()) << unit << ": " << name_of(s.termination) << ", " << s.message;
      EXPECT_NEAR(x[0], 1, 1e-6) << unit;
      EXPECT_NEAR(x[1], 1, 1e-6) << unit;
    }
  }
}

/// f and theta go to 0: where the Hessian is singular at the minimum (Powell) no cosine becomes small.
TEST_F(MinimizeUnits, AMinimumOfZeroAtZeroIsConvergence) {
  Smooth powell(*cpu_, 4, powell_singular);
  Smooth bowl(*cpu_, 2, quadratic({4, 1, 1, 3}, {0, 0}));
  GradientOnly powell_gradient(*cpu_, powell), bowl_gradient(*cpu_, bowl);
  const auto solved = [](Objective<double>& f, Numbers x) {
    const double first = f.value(x.data());
    const Summary s = minimize(f, x);
    EXPECT_TRUE(s.converged()) << "from " << x[0] << ": " << name_of(s.termination) << ", " << s.message;
    EXPECT_LE(s.value, 1e-24 * first) << "from " << x[0];
  };
  for (double factor : {1.0, 10.0, 100.0}) {
    solved(powell, {3 * factor, -factor, 0, factor});
    solved(powell_gradient.objective, {3 * factor, -factor, 0, factor});
  }
  for (double factor : {1e-30, 1.0, 1e30}) {
    solved(bowl, {10 * factor, -10 * factor});
    solved(bowl_gradient.objective, {10 * factor, -10 * factor});
  }
}

/// Functions and starts at the ends of the range of numbers: a budget of steps is a budget of calls.
TEST_F(MinimizeUnits, EveryStepEndsWhateverTheNumbers) {
  const std::function<double(double, double*)> functions[] = {
      [](double x, double* g) { return *g = 2 * (x - 1), (x - 1) * (x - 1); },
      [](double x, double* g) { return *g = x < 0 ? -1 : 1, std::fabs(x); },
      [](double x, double* g) { return *g = std::exp(x) - 1, std::exp(x) - x; },
      [](double x, double* g) { return *g = 1 / x - 1 / (x * x), std::log(x) + 1 / x; },
      [](double x, double* g) { return *g = -1 / (x * x), 1 / x; },
      [](double x, double* g) { return *g = 4e200 * x * x * x, 1e200 * x * x * x * x; },
      [](double x, double* g) { return *g = 1e-300, 1e-300 * x; },
      [](double x, double* g) { return *g = std::cos(1e10 * x) * 1e10, std::sin(1e10 * x); },
      [](double x, double* g) { return *g = 1 / (2 * std::sqrt(x)), std::sqrt(x); },
  };
  for (std::size_t k = 0; k < std::size(functions); ++k)
    for (double start : {0.0, 5e-324, 1e-308, 1e-155, 1e-17, 1.3, 1e8, 1e154, 1e308, -1e-155, -1.0, -1e200})
      for (const char* control : {"trust_region", "damping"})
        for (const char* sign : {"raw", "abs", "clip", "shift", "truncate"}) {
          OptimizerSettings settings = robust_settings();
          settings["control"] = control;
          settings["sign"] = sign;
          GradientOnly f(*cpu_, 1, [&](const double* x, double* g) {
            double slope = 0;
            const double value = functions[k](*x, &slope);
            if (g != nullptr) *g = slope;
            return value;
          });
          Numbers x{start};
          const Summary s = minimize(*make_optimizer<double>("hso", settings), f.objective, x, {.max_steps = 30});
          EXPECT_LE(s.solves, 30);
          EXPECT_LE(f.values + f.gradients, 30 * 40)
              << "function " << k << " from " << start << " " << control << " " << sign;
          EXPECT_TRUE(!s.inertia || !s.converged() || s.inertia->negative == 0);
        }
}

/// Both minima have a Jacobian without full rank: where Freudenstein and Roth's function has its local minimum, and
/// where both parameters of Jennrich and Sampson's are the same.
TEST_F(MinimizeUnits, AMinimumWithoutFullRankIsConvergence) {
  const auto freudenstein_roth = residuals_of([]<class S>(const std::vector<S>& x) {
    return std::vector<S>{S(-13) + x[0] + ((S(5) - x[1]) * x[1] - S(2)) * x[1],
                          S(-29) + x[0] + ((x[1] + S(1)) * x[1] - S(14)) * x[1]};
  });
  const auto jennrich_sampson = residuals_of([]<class S>(const std::vector<S>& x) {
    std::vector<S> r;
    for (int i = 1; i <= 10; ++i) r.push_back(S(2 + 2 * i) - exp(S(i) * x[0]) - exp(S(i) * x[1]));
    return r;
  });
  Numbers x{0.5, -2};
  auto f = least_squares(*cpu_, freudenstein_roth, x);
  Summary s = solve("ggn", f, x);
  EXPECT_TRUE(s.converged()) << name_of(s.termination) << ": " << s.message;
  EXPECT_NEAR(2 * s.value, 48.98425, 1e-4);
  EXPECT_NEAR(x[0], 11.4128, 1e-3);
  x = {0.3, 0.4};
  auto g = least_squares(*cpu_, jennrich_sampson, x);
  s = solve("ggn", g, x);
  EXPECT_TRUE(s.converged()) << name_of(s.termination) << ": " << s.message;
  EXPECT_NEAR(2 * s.value, 124.36218, 1e-4);
  x = {3, 4};  // thrown far to where e^x0 is flat: not a minimum
  s = solve("ggn", g, x);
  EXPECT_TRUE(!s.converged() || std::fabs(2 * s.value - 124.36218) < 1e-4) << 2 * s.value << ": " << s.message;
}

/// sqrt(g' |A|^-1 g / (2 |f|)) from the eigenvalues of a 2 x 2 matrix, worked out here.
TEST_F(MinimizeUnits, TheScaledGradientIsItsFormula) {
  Smooth f(*cpu_, 2, rosenbrock);
  for (const char* scaling : {"none", "curvature"})
    for (const Numbers& start : {Numbers{-1.2, 1}, Numbers{1.2, 1.4}, Numbers{0.3, 2}}) {
      Numbers x = start, g(2), h(4);
      const double value = rosenbrock(x.data(), g.data(), h.data());
      // In units of the balanced diagonal |A| is another matrix where A is indefinite: only definite points are asked.
      const double determinant = h[0] * h[3] - h[1] * h[1];
      if (determinant <= 0) continue;
      const double form = (h[3] * g[0] * g[0] - 2 * h[1] * g[0] * g[1] + h[0] * g[1] * g[1]) / determinant;
      OptimizerSettings settings = robust_settings();
      settings["scaling"] = scaling;
      const StepReport r = make_optimizer<double>("hso", settings)->step(f, x.data());
      EXPECT_NEAR(r.scaled_gradient, std::sqrt(form / (2 * value)), 1e-9 * r.scaled_gradient) << scaling;
    }
}

TEST_F(MinimizeUnits, ThetaOfAnotherSizeIsRefused) {
  Smooth f(*cpu_, 2, rosenbrock);
  const auto optimizer = make_optimizer<double>("hso");
  Numbers host(3);
  Buffer<double> device(*cpu_, 1), right(*cpu_, Numbers{-1.2, 1});
  const auto refused = [](const auto& call) {
    return contains(message_of<UsageError>(call), "the objective has 2 variables");
  };
  EXPECT_TRUE(refused([&] { minimize(f, host); }));
  EXPECT_TRUE(refused([&] { minimize(f, device); }));
  EXPECT_TRUE(refused([&] { minimize(*optimizer, f, host); }));
  EXPECT_TRUE(refused([&] { minimize(*optimizer, f, device); }));
  EXPECT_TRUE(refused([&] { minimize(*optimizer, f, vector_view(right.data(), 1)); }));
  EXPECT_TRUE(minimize(f, vector_view(right.data(), 2)).converged());
  EXPECT_NEAR(right.download()[0], 1, 1e-8);
}

TEST_F(MinimizeUnits, AStartThatIsNoNumberHasItsOwnValue) {
  Smooth f(*cpu_, 2, rosenbrock);
  Numbers nan{std::nan(""), 1}, far{1e200, 1};
  const Summary s = minimize(f, nan), t = minimize(f, far);
  EXPECT_EQ(s.termination, Termination::not_finite);
  EXPECT_TRUE(std::isnan(s.value)) << s.value;
  EXPECT_EQ(t.termination, Termination::not_finite);
  EXPECT_EQ(t.value, INFINITY);
}

/// Calls of the user's function, and nothing else, fill the budget.
TEST_F(MinimizeUnits, ABudgetCountsCalls) {
  const auto r = decay(1, 1);
  Numbers b{1, 1, 0};
  std::int64_t values = 0, jacobians = 0;
  LeastSquaresObjective<double> f(*cpu_, 3, 8, {.residuals = [&](const double* x, double* out, double* j) {
    ++(j != nullptr ? jacobians : values);
    const Numbers at(x, x + 3);
    for (double e : r->at(at)) *out++ = e;
    if (j != nullptr)
      for (double e : jacobian_of(*r, at)) *j++ = e;
  }});
  const Summary s = solve("ggn", f, b, {.max_evaluations = 7});
  EXPECT_EQ(s.termination, Termination::evaluations);
  EXPECT_EQ(s.values + s.gradients, values + jacobians);
  EXPECT_EQ(s.products + s.hessians, 0);
  EXPECT_GE(s.steps, 3);
  Smooth rosen(*cpu_, 2, rosenbrock);
  GradientOnly g(*cpu_, rosen);
  Numbers x{-1.2, 1};
  const Summary by_differences = minimize(g.objective, x);
  EXPECT_EQ(by_differences.gradients, g.gradients);
  EXPECT_EQ(by_differences.values, g.values);
}

TEST_F(MinimizeUnits, ThetaIsOneVectorInOnePiece) {
  Smooth bowl(*cpu_, 4, quadratic({2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2}, {1, 1, 1, 1}));
  Buffer<double> memory(*cpu_, Numbers{5, 5, 9, 9, 5, 5});
  const auto apart = vector_view(memory.data(), Index{2}, Index{2}, Index{4});
  EXPECT_TRUE(contains(message_of<UsageError>([&] { minimize(bowl, apart); }), "distance 4", "contiguous"));
  auto unit = vector_view(memory.data(), Index{4});
  const Index at = 0;
  unit.one_hot = &at;
  EXPECT_TRUE(contains(message_of<UsageError>([&] { minimize(bowl, unit); }), "unit vector"));
  EXPECT_EQ(memory.download(), (Numbers{5, 5, 9, 9, 5, 5}));
  EXPECT_TRUE(minimize(bowl, vector_view(memory.data(), Index{2}, Index{2})).converged());
}

/// Classes that a line separates: f falls to 1 while y grows without end, its slope and curvature along y, from
/// differences too, to rounding. x has its minimum at 1.
TEST_F(MinimizeUnits, ASlopeAndACurvatureThatVanishTogetherAreConvergence) {
  for (int seed = 0; seed < 8; ++seed) {
    GradientOnly f(*cpu_, 2, [seed](const double* x, double* g) {
      double value = 1 + 0.5 * (x[0] - 1) * (x[0] - 1);
      if (g != nullptr) g[0] = x[0] - 1, g[1] = 0;
      for (int i = 0; i < 5; ++i) {
        const double k = 1 + 0.37 * std::sin(seed * 5 + i + 1.0), z = k * x[1];
        value += std::log1p(std::exp(-z));
        if (g != nullptr) g[1] += k * (1 / (1 + std::exp(-z)) - 1);
      }
      return value;
    });
    Numbers x{0, 1};
    const Summary s = minimize(f.objective, x);
    EXPECT_TRUE(s.converged()) << seed << " " << name_of(s.termination) << ": " << s.message;
    EXPECT_NEAR(x[0], 1, 1e-6);
    EXPECT_LE(s.value, 1 + 1e-13);
  }
}

TEST_F(MinimizeUnits, RobustSettingsKnowTheirCurvatures) {
  EXPECT_TRUE(contains(message_of<UsageError>([] { robust_settings("gauss-newton"); }), "gauss-newton", "ggn"));
  EXPECT_TRUE(contains(message_of<UsageError>([] { robust_settings("kfac"); }), "kfac", "hessian, ggn"));
}

TEST_F(MinimizeUnits, AFunctionInFloatConvergesByItsGradientAlone) {
  FunctionObjective<float> f(*cpu_, 2, {.value = [](const float* x, float* g) {
    const float a = x[1] - x[0] * x[0], b = 1 - x[0];
    if (g != nullptr) {
      g[0] = -40 * x[0] * a - 2 * b;
      g[1] = 20 * a;
    }
    return static_cast<double>(10 * a * a + b * b) + 3;
  }});
  std::vector<float> x{-1.2f, 1};
  const Summary s = minimize(f, x);
  EXPECT_TRUE(s.converged()) << name_of(s.termination) << ": " << s.message;
  EXPECT_NEAR(x[0], 1, 1e-3);
  EXPECT_NEAR(x[1], 1, 1e-3);
  EXPECT_TRUE(!s.inertia || s.inertia->negative == 0);
}

/// Every number of a fit in float: the same answer, to what float resolves, and convergence.
TEST_F(MinimizeUnits, AFitInFloatConverges) {
  Numbers in_double{1, 1, 0};
  auto reference = least_squares(*cpu_, decay(1, 1), in_double);
  ASSERT_TRUE(solve("ggn", reference, in_double).converged());
  const std::vector<float> t{0, 1, 2, 3, 4, 6, 8, 12}, y{11.9f, 8.7f, 6.6f, 5.1f, 4.2f, 3.0f, 2.5f, 2.1f};
  for (float unit : {1.0f, 1e-9f}) {
    LeastSquaresObjective<float> f(*cpu_, 3, 8, {.residuals = [&](const float* b, float* r, float* jacobian) {
      for (std::size_t k = 0; k < t.size(); ++k) {
        const float e = std::exp(-b[1] * t[k]);
        r[k] = b[0] * e + b[2] - y[k] * unit;
        if (jacobian == nullptr) continue;
        jacobian[3 * k] = e;
        jacobian[3 * k + 1] = -b[0] * t[k] * e;
        jacobian[3 * k + 2] = 1;
      }
    }});
    std::vector<float> b{unit, 1, 0};
    const Summary s = minimize(*make_optimizer<float>("hso", robust_settings("ggn")), f, b);
    EXPECT_TRUE(s.converged()) << unit << " " << name_of(s.termination) << ": " << s.message;
    EXPECT_NEAR(b[0] / unit, in_double[0], 1e-3);
    EXPECT_NEAR(b[1], in_double[1], 1e-4);
    EXPECT_NEAR(b[2] / unit, in_double[2], 1e-3);
  }
}

}  // namespace
}  // namespace hso::test
