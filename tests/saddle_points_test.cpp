// SPDX-License-Identifier: Apache-2.0
//
// Saddles and maxima: the trust region leaves them, and what cannot leave them does not call them converged.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/function_objective.hpp"
#include "hsogpu/optim/minimize.hpp"
#include "optim/hso/spectral.hpp"
#include "support/functions.hpp"
#include "support/gradient_only.hpp"
#include "support/messages.hpp"

namespace hso::test {
namespace {

using Numbers = std::vector<double>;

/// x^2 - y^2 + y^4: a saddle at 0, minima -1/4 at (0, +-1/sqrt 2).
double tilted(const double* x, double* g, double* h) {
  const double y = x[1], yy = y * y;
  if (g != nullptr) g[0] = 2 * x[0], g[1] = -2 * y + 4 * y * yy;
  if (h != nullptr) h[0] = 2, h[1] = h[2] = 0, h[3] = -2 + 12 * yy;
  return x[0] * x[0] - yy + yy * yy;
}

OptimizerSettings robust(const std::string& sign, const std::string& scaling = "curvature") {
  OptimizerSettings s = robust_settings();
  s["sign"] = sign;
  s["scaling"] = scaling;
  return s;
}

class SaddlePoints : public testing::Test {
 protected:
  Summary solve(const OptimizerSettings& settings, Objective<double>& f, Numbers& x, const MinimizeOptions& o = {}) {
    return minimize(*make_optimizer<double>("hso", settings), f, x, o);
  }
  std::unique_ptr<Context> cpu_ = Context::create("cpu");
};

TEST_F(SaddlePoints, TheTrustRegionLeavesASaddleUnderEverySignPolicy) {
  Smooth exact(*cpu_, 2, tilted);
  GradientOnly differences(*cpu_, exact);
  for (Objective<double>* f :
       {static_cast<Objective<double>*>(&exact), static_cast<Objective<double>*>(&differences.objective)})
    for (const char* sign : {"raw", "abs", "clip", "shift", "truncate"})
      for (const char* scaling : {"none", "curvature"})
        for (const Numbers& start : {Numbers{1, 0}, Numbers{0, 0}, Numbers{-30, 0}, Numbers{1, 1e-12},
                                     Numbers{0, 1e-170}, Numbers{1e-17, 0}}) {
          SCOPED_TRACE(std::string(sign) + " " + scaling + " from " + std::to_string(start[0]) + ", " +
                       std::to_string(start[1]) + (f == &exact ? "" : " by differences"));
          Numbers x = start;
          const Summary s = solve(robust(sign, scaling), *f, x);
          EXPECT_EQ(s.termination, Termination::gradient) << name_of(s.termination) << ": " << s.message;
          EXPECT_NEAR(s.value, -0.25, 1e-12);
          EXPECT_NEAR(x[0], 0, 1e-6);
          EXPECT_NEAR(std::fabs(x[1]), std::sqrt(0.5), 1e-6);
          ASSERT_TRUE(s.inertia.has_value());
          EXPECT_EQ(*s.inertia, (Inertia{2, 0, 0}));
        }
}

TEST_F(SaddlePoints, TheTrustRegionLeavesAMaximum) {
  Smooth f(*cpu_, 2, [](const double* x, double* g, double* h) {
    for (int i = 0; g != nullptr && i < 2; ++i) g[i] = -std::sin(x[i]);
    if (h != nullptr) h[0] = -std::cos(x[0]), h[1] = h[2] = 0, h[3] = -std::cos(x[1]);
    return std::cos(x[0]) + std::cos(x[1]);
  });
  for (const char* sign : {"raw", "abs", "clip", "shift"}) {
    Numbers x{0, 0};
    const Summary s = solve(robust(sign), f, x);
    EXPECT_TRUE(s.converged()) << sign << " " << name_of(s.termination) << ": " << s.message;
    EXPECT_NEAR(s.value, -2, 1e-12) << sign;
    EXPECT_EQ(s.inertia, (Inertia{2, 0, 0})) << sign;
  }
}

/// x^2 - s + s^2 with s = y^2 + z^2: at the saddle the lowest eigenvalue is double, the minima are a circle.
TEST_F(SaddlePoints, ADoubleLowestEigenvalueIsNoObstacle) {
  Smooth f(*cpu_, 3, [](const double* x, double* g, double* h) {
    const double s = x[1] * x[1] + x[2] * x[2], slope = -1 + 2 * s;
    if (g != nullptr) g[0] = 2 * x[0], g[1] = 2 * x[1] * slope, g[2] = 2 * x[2] * slope;
    for (int i = 0; h != nullptr && i < 9; ++i) {
      const int r = i / 3, c = i % 3;
      h[i] = r == 0 || c == 0 ? (r == c ? 2 : 0) : 8 * x[r] * x[c] + (r == c ? 2 * slope : 0);
    }
    return x[0] * x[0] - s + s * s;
  });
  for (const char* sign : {"raw", "abs", "clip", "shift"}) {
    Numbers x{1, 0, 0};
    const Summary s = solve(robust(sign), f, x);
    EXPECT_TRUE(s.converged()) << sign << " " << name_of(s.termination) << ": " << s.message;
    EXPECT_NEAR(s.value, -0.25, 1e-12) << sign;
    ASSERT_TRUE(s.inertia.has_value());
    EXPECT_EQ(s.inertia->negative, 0) << sign;
  }
}

TEST_F(SaddlePoints, WhatCannotLeaveASaddleSaysSo) {
  Smooth f(*cpu_, 2, tilted);
  for (const char* sign : {"raw", "abs", "clip"})
    for (double start : {0.0, 1.0}) {
      Numbers x{start, 0};
      const Summary s = solve({{"sign", sign}, {"eps_scale", "0"}}, f, x);
      EXPECT_EQ(s.termination, Termination::saddle) << sign << " " << name_of(s.termination) << ": " << s.message;
      EXPECT_FALSE(s.converged());
      EXPECT_EQ(s.inertia, (Inertia{1, 0, 1}));
      EXPECT_TRUE(contains(s.message, "1 negative"));
      EXPECT_NEAR(x[0], 0, 1e-6);
      EXPECT_EQ(s.value, f.value(x.data()));
    }
  Smooth hill(*cpu_, 1, [](const double* x, double* g, double* h) {
    if (g != nullptr) *g = -2 * *x;
    if (h != nullptr) *h = -2;
    return -*x * *x;
  });
  Numbers top{0};
  const Summary s = solve({}, hill, top);
  EXPECT_EQ(s.termination, Termination::saddle);
  EXPECT_TRUE(contains(s.message, "a maximum"));
  EXPECT_EQ(top, Numbers{0});
  EXPECT_EQ(minimize(hill, top).termination, Termination::unbounded);
}

/// L-BFGS sees no curvature across its path: the exact Hessian, or the differences that were allowed, do.
TEST_F(SaddlePoints, AMethodWithoutEigenvaluesIsLookedAtOrTheInertiaIsUnknown) {
  Smooth f(*cpu_, 2, tilted);
  GradientOnly differences(*cpu_, f);
  const auto run = [&](Objective<double>& objective, const MinimizeOptions& o) {
    Numbers x{1, 0};
    return minimize(*make_optimizer<double>("lbfgs"), objective, x, o);
  };
  EXPECT_EQ(run(f, {}).termination, Termination::saddle);
  EXPECT_EQ(run(differences.objective, {.inertia_by_differences_up_to = 2}).termination, Termination::saddle);
  for (const Summary& s : {run(f, {.inertia_up_to = 0}), run(differences.objective, {})}) {
    EXPECT_EQ(s.termination, Termination::gradient);
    EXPECT_FALSE(s.inertia.has_value());
    EXPECT_TRUE(contains(s.message, "unknown"));
  }
}

/// r = (x, y^2 - 1): from y = 0 the Gauss-Newton matrix, never indefinite, sees nothing of y. f has a saddle there.
TEST_F(SaddlePoints, GaussNewtonAtASaddleIsLookedAtToo) {
  ResidualCallbacks<double> callbacks{.residuals = [](const double* x, double* r, double* j) {
    r[0] = x[0], r[1] = x[1] * x[1] - 1;
    if (j != nullptr) j[0] = 1, j[1] = j[2] = 0, j[3] = 2 * x[1];
  }};
  const auto run = [&](const MinimizeOptions& o) {
    LeastSquaresObjective<double> f(*cpu_, 2, 2, callbacks);
    Numbers x{1, 0};
    return minimize(*make_optimizer<double>("hso", robust_settings("ggn")), f, x, o);
  };
  const Summary unknown = run({});
  EXPECT_TRUE(unknown.converged());
  EXPECT_FALSE(unknown.inertia.has_value());
  EXPECT_TRUE(contains(unknown.message, "unknown"));
  EXPECT_EQ(run({.inertia_by_differences_up_to = 2}).termination, Termination::saddle);
  callbacks.hessian = [](const double* x, double* h) { h[0] = 1, h[1] = h[2] = 0, h[3] = 6 * x[1] * x[1] - 2; };
  const Summary exact = run({});
  EXPECT_EQ(exact.termination, Termination::saddle);
  EXPECT_EQ(exact.inertia, (Inertia{1, 0, 1}));
  EXPECT_EQ(exact.hessians, 1);
}

/// r_i = p_1 ... p_n x_i - y_i, 12 of them, with noise: the minima are a surface, and the Hessian has eigenvalues of
/// either sign of about |g| / |p| close to it. The best product is known.
struct Product {
  Product(Index factors, int seed) : n(static_cast<std::size_t>(factors)) {
    double xx = 0, xy = 0;
    for (int i = 0; i < 12; ++i) {
      x.push_back(std::sin(1.7 * i + 0.9 * seed) + 0.1);
      y.push_back(2 * x.back() + 0.5 * std::cos(2.3 * i * i + seed));
      xx += x.back() * x.back(), xy += x.back() * y.back();
    }
    best = xy / xx;
  }
  static double all(const double* p, std::size_t n, std::size_t skip = SIZE_MAX, std::size_t also = SIZE_MAX) {
    double out = 1;
    for (std::size_t k = 0; k < n; ++k) out *= k == skip || k == also ? 1 : p[k];
    return out;
  }
  ResidualCallbacks<double> callbacks() const {
    ResidualCallbacks<double> out;
    out.residuals = [this](const double* p, double* r, double* j) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        r[i] = all(p, n) * x[i] - y[i];
        for (std::size_t k = 0; j != nullptr && k < n; ++k) j[i * n + k] = all(p, n, k) * x[i];
      }
    };
    out.hessian = [this](const double* p, double* h) {
      std::fill(h, h + n * n, 0.0);
      for (std::size_t i = 0; i < x.size(); ++i)
        for (std::size_t k = 0; k < n * n; ++k) {
          const std::size_t a = k / n, b = k % n;
          h[k] += all(p, n, a) * all(p, n, b) * x[i] * x[i];
          if (a != b) h[k] += (all(p, n) * x[i] - y[i]) * x[i] * all(p, n, a, b);
        }
    };
    return out;
  }
  std::size_t n;
  Numbers x, y;
  double best = 0;
};

TEST_F(SaddlePoints, MinimaThatFormASurfaceAreConvergence) {
  for (Index n : {2, 3})
    for (int seed = 0; seed < 25; ++seed)
      for (const char* method : {"abs", "raw", "clip", "lbfgs"}) {
        const Product model(n, seed);
        LeastSquaresObjective<double> f(*cpu_, n, 12, model.callbacks());
        Numbers p{1 + 0.05 * seed, 0.4 + 0.1 * (seed % 7), 0.8};
        p.resize(model.n);
        const auto lbfgs = make_optimizer<double>("lbfgs");
        const bool dense = std::string(method) != "lbfgs";
        const Summary s = dense ? solve(robust(method), f, p) : minimize(*lbfgs, f, p);
        SCOPED_TRACE(std::string(method) + ", seed " + std::to_string(seed) + ", " + std::to_string(n) + " factors");
        EXPECT_EQ(s.termination, Termination::gradient) << name_of(s.termination) << ": " << s.message;
        EXPECT_NEAR(Product::all(p.data(), model.n), model.best, 1e-6);
        ASSERT_TRUE(s.inertia.has_value());
        EXPECT_EQ(s.inertia->negative, 0);
        EXPECT_GE(s.inertia->positive, 1);
      }
}

/// From p = -q Gauss-Newton walks to p = q = 0, where the Jacobian is 0 and the Hessian has a negative eigenvalue: no
/// trial lowers f there, and no test of a gradient without curvature holds.
TEST_F(SaddlePoints, WhereGaussNewtonStallsItIsLookedAtToo) {
  const Product model(2, 1);
  LeastSquaresObjective<double> f(*cpu_, 2, 12, model.callbacks());
  Numbers p{1, -1};
  const Summary s = solve(robust_settings("ggn"), f, p);
  EXPECT_EQ(s.termination, Termination::saddle) << name_of(s.termination) << ": " << s.message;
  EXPECT_EQ(s.inertia, (Inertia{1, 0, 1}));
  EXPECT_NEAR(p[0], 0, 1e-6);
  ResidualCallbacks<double> callbacks = model.callbacks();
  callbacks.hessian = nullptr;
  LeastSquaresObjective<double> unknown(*cpu_, 2, 12, callbacks);
  p = {1, -1};
  const Summary u = solve(robust_settings("ggn"), unknown, p);
  EXPECT_EQ(u.termination, Termination::stalled) << name_of(u.termination) << ": " << u.message;
  EXPECT_FALSE(u.inertia.has_value());  // the signs of the Gauss-Newton matrix are not those of the Hessian
}

/// A valley that is narrow beside the radius of the start: 12 trials do not reach it, those of the next steps do.
TEST_F(SaddlePoints, OneRejectedStepIsNotTheEnd) {
  for (double k : {1e6, 1e9, 1e12}) {
    Smooth f(*cpu_, 1, [k](const double* x, double* g, double* h) {
      const double u = *x - 1e6;
      if (g != nullptr) *g = -2 * u + 4 * k * u * u * u;
      if (h != nullptr) *h = -2 + 12 * k * u * u;
      return 1 - u * u + k * u * u * u * u;
    });
    Numbers x{1e6};
    const Summary s = minimize(f, x);
    EXPECT_TRUE(s.converged()) << k << " " << name_of(s.termination) << ": " << s.message;
    EXPECT_GT(s.solves, 1);
    EXPECT_NEAR(std::fabs(x[0] - 1e6) * std::sqrt(2 * k), 1, 0.1) << k;
    Numbers again{1e6};
    EXPECT_EQ(minimize(f, again, {.max_rejections = 1}).termination, Termination::saddle);
  }
}

/// 1 + u^2 - v^2 + v^4, and a variable that it ignores.
TEST_F(SaddlePoints, InFloatAClearlyNegativeEigenvalueIsKnownBesideAZero) {
  FunctionObjective<float> f(*cpu_, 3,
                             {.value =
                                  [](const float* x, float* g) {
                                    const float u = x[0], v = x[1];
                                    if (g != nullptr) g[0] = 2 * u, g[1] = -2 * v + 4 * v * v * v, g[2] = 0;
                                    return 1 + u * u - v * v + v * v * v * v;
                                  },
                              .hessian =
                                  [](const float* x, float* h) {
                                    std::fill(h, h + 9, 0.0f);
                                    h[0] = 2, h[4] = -2 + 12 * x[1] * x[1];
                                  }});
  std::vector<float> x{1, 0, 1};
  const Summary s = minimize(f, x);
  EXPECT_TRUE(s.converged()) << name_of(s.termination) << ": " << s.message;
  EXPECT_NEAR(s.value, 0.75, 1e-6);
  x = {1, 0, 1};
  const Summary stays = minimize(*make_optimizer<float>("hso", {{"eps_scale", "0"}}), f, x);
  EXPECT_EQ(stays.termination, Termination::saddle) << name_of(stays.termination) << ": " << stays.message;
  EXPECT_EQ(stays.inertia, (Inertia{1, 1, 1}));
  x = {1, 0, 1};
  EXPECT_EQ(minimize(*make_optimizer<float>("lbfgs"), f, x).termination, Termination::saddle);
}

TEST_F(SaddlePoints, WhereSecondOrderCannotTellTheMessageSaysSo) {
  Smooth monkey(*cpu_, 2, [](const double* x, double* g, double* h) {
    if (g != nullptr) g[0] = 3 * (x[0] * x[0] - x[1] * x[1]), g[1] = -6 * x[0] * x[1];
    if (h != nullptr) h[0] = 6 * x[0], h[1] = h[2] = -6 * x[1], h[3] = -6 * x[0];
    return x[0] * x[0] * x[0] - 3 * x[0] * x[1] * x[1];
  });
  for (const char* sign : {"raw", "abs", "clip", "shift"}) {
    Numbers x{1, 0}, at{0, 0};
    const Summary from_afar = solve(robust(sign), monkey, x), there = solve(robust(sign), monkey, at);
    EXPECT_EQ(from_afar.termination, Termination::unbounded) << sign << ": " << from_afar.message;
    EXPECT_EQ(there.inertia, (Inertia{0, 2, 0})) << sign;
    EXPECT_TRUE(contains(there.message, "does not tell"));
  }
}

detail::Spectrum spectrum(const Numbers& values) { return {values, summarize_spectrum(values, 1e-15)}; }

/// (p q - 1)^2 / 2 beside its minima p q = 1, in closed form: g = e (q, p), H = [[q^2, p q + e], [p q + e, p^2]] with
/// e = p q - 1, of which the lower eigenvalue is 0 at the minima and has the sign of -e beside them.
TEST_F(SaddlePoints, WhatTheWayLeftMayChangeCoversTheCurvatureOfASymmetry) {
  for (double e : {1e-3, 1e-6, -1e-6}) {
    const double p = 2, q = (1 + e) / p, size = std::hypot(p, q), a = q * q, b = p * p;
    const double largest = (a + b) / 2 + std::hypot((a - b) / 2, p * q + e), low = -e * (2 * p * q + e) / largest;
    const auto s = spectrum({low, largest});
    const double change = detail::change_to_come(s, {0, e * size}, size, 0, 0x1p-52);
    EXPECT_GE(change, std::fabs(low)) << e;
    EXPECT_LE(change, 20 * std::fabs(low)) << e;
  }
  const auto saddle = spectrum({-2, 1, 3});
  EXPECT_NEAR(detail::change_to_come(saddle, {5, 0, 0}, 1, 0, 0x1p-52), 3e-14, 1e-20);  // the slope leads away from it
  EXPECT_NEAR(detail::change_to_come(saddle, {5, 0.3, 0.4}, 2, 0, 0x1p-52), 1, 1e-15);
  EXPECT_NEAR(detail::change_to_come(saddle, {0, 0.3, 0.4}, 0, 1, 0x1p-52), 3e-14, 1e-20);
}

/// The hard case has a closed form: -(A - lambda_1 I)^+ c up to the boundary along the lowest eigenvector.
TEST_F(SaddlePoints, TheHardCaseIsSolvedToTheModelsMinimum) {
  const Numbers c{0, 1, -0.5};
  const auto a = spectrum({-2, 1, 3});
  for (double radius : {0.5, 1.0, 30.0}) {
    const double s1 = -c[1] / 3, s2 = -c[2] / 5, along = radius * radius - s1 * s1 - s2 * s2;
    const double best = -(c[1] * s1 + c[2] * s2 + (-2 * along + s1 * s1 + 3 * s2 * s2) / 2);
    for (SignPolicy policy : {SignPolicy::raw, SignPolicy::shift, SignPolicy::clip}) {
      const double delta = detail::delta_of_radius(a, policy, 0, c, 1, radius);
      const auto step = detail::spectral_step(a, detail::modify_inverse(a, policy, delta, 0), c, 1);
      const auto left = detail::leave_saddle(a, policy, c, step, radius);
      EXPECT_LE(left.length, radius * (1 + 1e-12));
      EXPECT_GE(left.predicted_decrease, (policy == SignPolicy::clip ? 0.4 : 1 - 1e-6) * best) << radius;
      EXPECT_LE(left.predicted_decrease, best * (1 + 1e-12)) << radius;
    }
  }
}

TEST_F(SaddlePoints, WithoutNegativeCurvatureAStepStaysAsItIs) {
  const auto a = spectrum({1e-18, 1, 3});
  const auto step = detail::spectral_step(a, detail::modify_inverse(a, SignPolicy::abs, 1, 0), {1, 1, 1}, 1);
  EXPECT_EQ(detail::leave_saddle(a, SignPolicy::abs, {1, 1, 1}, step, 100).s, step.s);
}

/// Whatever the numbers: an answer, and a step within the radius where one can be had.
TEST_F(SaddlePoints, TheDampingOfARadiusIsFoundWhateverTheNumbers) {
  for (SignPolicy policy :
       {SignPolicy::raw, SignPolicy::abs, SignPolicy::clip, SignPolicy::shift, SignPolicy::truncate})
    for (double size : {1e-300, 1e-155, 1.0, 1e155, 1e300})
      for (double radius : {1e-308, 1e-155, 1e-17, 1.0, 1e150})
        for (double top : {0.0, 1e-200, 1.0, 1e200}) {
          const auto a = spectrum({-top / 2, 0, top});
          const Numbers c{size, size, -size};
          const double delta = detail::delta_of_radius(a, policy, 0, c, 1, radius);
          ASSERT_TRUE(std::isfinite(delta));
          const auto step = detail::spectral_step(a, detail::modify_inverse(a, policy, delta, 0), c, 1);
          if (size / radius > 1e150 || size < 1e-150 || size > 1e150)
            continue;  // squares that leave the range of numbers
          EXPECT_LE(step.length, radius * (1 + 1e-9))
              << "policy " << static_cast<int>(policy) << " |c| " << size << " radius " << radius << " top " << top;
        }
}

}  // namespace
}  // namespace hso::test
