// SPDX-License-Identifier: Apache-2.0
//
// Users' own functions: callbacks, least squares, and graphs that are differentiated exactly.
#include "hsogpu/objective/function_objective.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/check.hpp"
#include "hsogpu/objective/graph_objective.hpp"
#include "hsogpu/optim/minimize.hpp"
#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/messages.hpp"
#include "support/residuals.hpp"

namespace hso::test {
namespace {

using Numbers = std::vector<double>;

Numbers dense(LinearOperator<double>& a) {
  Buffer<double> h(a.context(), a.dimension() * a.dimension());
  a.to_dense(h.data());
  return h.download();
}

/// 100 (y - x^2)^2 + (1 - x)^2
double rosenbrock(const double* x, double* g) {
  const double a = x[1] - x[0] * x[0], b = 1 - x[0];
  if (g != nullptr) {
    g[0] = -400 * x[0] * a - 2 * b;
    g[1] = 200 * a;
  }
  return 100 * a * a + b * b;
}
Numbers rosenbrock_hessian(const double* x) {
  return {1200 * x[0] * x[0] - 400 * x[1] + 2, -400 * x[0], -400 * x[0], 200};
}

class FunctionObjectiveTest : public testing::Test {
 protected:
  std::unique_ptr<Context> cpu_ = Context::create("cpu");
  const Numbers x_{-1.2, 1};
};

TEST_F(FunctionObjectiveTest, CurvatureIsWhatTheCallbacksSayOrDifferences) {
  FunctionCallbacks<double> by_matrix{.value = rosenbrock}, by_products{.value = rosenbrock};
  by_matrix.hessian = [](const double* x, double* h) {
    for (double e : rosenbrock_hessian(x)) *h++ = e;
  };
  by_products.hessian_product = [](const double* x, const double* v, double* hv) {
    const Numbers h = rosenbrock_hessian(x);
    for (std::size_t i = 0; i < 2; ++i) hv[i] = h[2 * i] * v[0] + h[2 * i + 1] * v[1];
  };
  const Numbers want = rosenbrock_hessian(x_.data());
  for (const auto& callbacks : {by_matrix, by_products}) {
    FunctionObjective<double> f(*cpu_, 2, callbacks);
    const auto here = f.curvature(x_.data(), Curvature::hessian);
    const Numbers elsewhere{3, 3};
    const auto there = f.curvature(elsewhere.data(), Curvature::hessian);
    EXPECT_EQ(dense(*here), want);
    EXPECT_EQ(dense(*there), rosenbrock_hessian(elsewhere.data()));
    EXPECT_TRUE(check_derivatives(f, x_.data()).passed());
  }
  FunctionObjective<double> f(*cpu_, 2, {.value = rosenbrock});
  EXPECT_TRUE(close(dense(*f.curvature(x_.data(), Curvature::hessian)), want, 1e-7));
}

TEST_F(FunctionObjectiveTest, WhatIsMissingIsSaid) {
  EXPECT_TRUE(contains(message_of<UsageError>([&] { FunctionObjective<double>(*cpu_, 2, {}); }), "value"));
  EXPECT_TRUE(
      contains(message_of<UsageError>([&] { FunctionObjective<double>(*cpu_, 0, {.value = rosenbrock}); }), "n = 0"));
  FunctionObjective<double> f(*cpu_, 2, {.value = rosenbrock});
  EXPECT_THROW(f.curvature(x_.data(), Curvature::ggn), UsageError);
  EXPECT_TRUE(contains(message_of<UsageError>([&] { LeastSquaresObjective<double>(*cpu_, 2, 0, {}); }), "residuals"));
}

/// The sum of squares of 1 to n, whose gradient is wrong in one place.
TEST_F(FunctionObjectiveTest, TheCheckerNamesTheWrongCoordinate) {
  for (Index wrong : {Index{0}, Index{4}}) {
    FunctionObjective<double> f(*cpu_, 6, {.value = [wrong](const double* x, double* g) {
      double sum = 0;
      for (Index i = 0; i < 6; ++i) {
        sum += static_cast<double>(i + 1) * x[i] * x[i];
        if (g != nullptr) g[i] = 2 * static_cast<double>(i + 1) * x[i] * (i == wrong ? 1.01 : 1);
      }
      return sum;
    }});
    const Numbers x{1, -2, 3, -4, 5, -6};
    const CheckReport report = check_derivatives(f, x.data());
    EXPECT_FALSE(report.passed());
    const CheckItem* item = report.find("gradient = differences of the value");
    ASSERT_NE(item, nullptr);
    EXPECT_TRUE(contains(item->note, "coordinate " + std::to_string(wrong)));
  }
}

/// y = b0 exp(-b1 t) at five times: derivatives against duals, products in lanes, standard deviations by hand.
struct Decay {
  Numbers t{0, 1, 2, 3, 5}, y{9.8, 6.1, 3.7, 2.3, 0.7};
  std::shared_ptr<const Residuals> reference = residuals_of([t = t, y = y]<class S>(const std::vector<S>& b) {
    std::vector<S> r;
    for (std::size_t k = 0; k < t.size(); ++k) r.push_back(b[0] * exp(-b[1] * S(t[k])) - S(y[k]));
    return r;
  });
  ResidualCallbacks<double> callbacks{.residuals = [this](const double* b, double* r, double* jacobian) {
    for (std::size_t k = 0; k < t.size(); ++k) {
      const double e = std::exp(-b[1] * t[k]);
      r[k] = b[0] * e - y[k];
      if (jacobian == nullptr) continue;
      jacobian[2 * k] = e;
      jacobian[2 * k + 1] = -b[0] * t[k] * e;
    }
  }};
};

TEST_F(FunctionObjectiveTest, LeastSquaresDerivativesFollowFromTheResiduals) {
  Decay d;
  LeastSquaresObjective<double> f(*cpu_, 2, 5, d.callbacks);
  const Numbers b{8, 0.4}, j = jacobian_of(*d.reference, b), r = d.reference->at(b);
  Numbers g(2), want_g(2), want_a(4);
  double value = 0;
  for (std::size_t k = 0; k < 5; ++k) {
    value += r[k] * r[k] / 2;
    for (std::size_t i = 0; i < 2; ++i) {
      want_g[i] += j[2 * k + i] * r[k];
      for (std::size_t l = 0; l < 2; ++l) want_a[2 * i + l] += j[2 * k + i] * j[2 * k + l];
    }
  }
  EXPECT_NEAR(f.value(b.data()), value, 1e-13 * value);
  EXPECT_NEAR(f.gradient(b.data(), g.data()), value, 1e-13 * value);
  EXPECT_TRUE(close(g, want_g, 1e-13));
  const auto a = f.curvature(b.data(), Curvature::ggn);
  EXPECT_TRUE(close(dense(*a), want_a, 1e-13));
  const Numbers identity{1, 0, 0, 1};
  Numbers by_lanes(4);
  a->apply(vector_view(identity.data(), 2, 2), vector_view(by_lanes.data(), 2, 2));
  EXPECT_TRUE(close(by_lanes, want_a, 1e-13));
  EXPECT_TRUE(close(dense(*f.curvature(b.data(), Curvature::hessian)), hessian_of(*d.reference, b), 1e-7));
  const double determinant = want_a[0] * want_a[3] - want_a[1] * want_a[2], variance = 2 * value / 3;
  EXPECT_TRUE(close(f.standard_deviations(b.data()),
                    {std::sqrt(variance * want_a[3] / determinant), std::sqrt(variance * want_a[0] / determinant)},
                    1e-12));
}

TEST_F(FunctionObjectiveTest, StandardDeviationsNeedDegreesOfFreedom) {
  LeastSquaresObjective<double> f(*cpu_, 2, 2, {.residuals = [](const double* b, double* r, double* j) {
    for (int k = 0; k < 2; ++k) r[k] = b[k];
    for (int k = 0; j != nullptr && k < 4; ++k) j[k] = k % 3 == 0 ? 1 : 0;
  }});
  EXPECT_THROW(f.standard_deviations(x_.data()), UsageError);
}

class GraphObjectiveTest : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, GraphObjectiveTest, testing::ValuesIn(contexts()), device_word);

Graph<double> rosenbrock_graph() {
  Graph<double> g;
  const Node one = g.input({1});
  const Node x = linear(g, one, g.parameter("x", {1, 1})), y = linear(g, one, g.parameter("y", {1, 1}));
  const Node a = subtract(g, y, multiply(g, x, x)), b = affine(g, x, -1, 1);
  const Node f = add(g, affine(g, multiply(g, a, a), 100), multiply(g, b, b));
  g.set_output(f);
  g.set_loss(as_loss(g, f));
  return g;
}

TEST_P(GraphObjectiveTest, RosenbrockWrittenOnceIsDifferentiatedExactly) {
  GraphObjective<double> f(context(), rosenbrock_graph());
  const Numbers at{-1.2, 1};
  Buffer<double> x(context(), at), g(context(), 2), elsewhere(context(), Numbers{2, 5});
  Numbers want(2);
  const double value = rosenbrock(at.data(), want.data());
  EXPECT_NEAR(f.value(x.data()), value, 1e-13 * value);
  EXPECT_NEAR(f.gradient(x.data(), g.data()), value, 1e-13 * value);
  EXPECT_TRUE(close(g.download(), want, 1e-14));
  const auto here = f.curvature(x.data(), Curvature::hessian),
             there = f.curvature(elsewhere.data(), Curvature::hessian);
  EXPECT_TRUE(close(dense(*there), rosenbrock_hessian(Numbers{2, 5}.data()), 1e-14));
  f.value(elsewhere.data());
  EXPECT_TRUE(close(dense(*here), rosenbrock_hessian(at.data()), 1e-14));
  EXPECT_TRUE(contains(message_of<UsageError>([&] { f.curvature(x.data(), Curvature::ggn); }), "as_loss"));
  EXPECT_TRUE(minimize(f, x).converged());
  EXPECT_TRUE(close(x.download(), {1, 1}, 1e-9));
}

/// Chwirut's model, y = exp(-b0 x) / (b1 + b2 x), on data of its kind.
TEST_P(GraphObjectiveTest, ANistModelWrittenOnceIsDifferentiatedExactly) {
  const Numbers xs{0.5, 1, 1.75, 2.5, 4, 6}, ys{92.9, 57.1, 31.05, 17.2, 8.1, 3.75}, at{0.15, 0.008, 0.01};
  Graph<double> g;
  const Node x = g.input({1}), y = g.target({1});
  const Node rate = g.parameter("b0", {1, 1}), shift = g.parameter("b1", {1}), slope = g.parameter("b2", {1, 1});
  const Node z = multiply(g, exp(g, affine(g, linear(g, x, rate), -1)), reciprocal(g, linear(g, x, slope, shift)));
  g.set_output(z);
  g.set_loss(squared_error(g, z, y));
  GraphObjective<double> f(context(), std::move(g), xs, ys);
  const auto reference = residuals_of([&]<class S>(const std::vector<S>& b) {
    std::vector<S> r;
    for (std::size_t k = 0; k < xs.size(); ++k)
      r.push_back(exp(-b[0] * S(xs[k])) / (b[1] + b[2] * S(xs[k])) - S(ys[k]));
    return r;
  });
  const Numbers r = reference->at(at), j = jacobian_of(*reference, at);
  double value = 0;
  Numbers gradient(3), ggn(9);
  for (std::size_t k = 0; k < r.size(); ++k) {
    value += r[k] * r[k] / 2;
    for (std::size_t i = 0; i < 3; ++i) {
      gradient[i] += j[3 * k + i] * r[k];
      for (std::size_t l = 0; l < 3; ++l) ggn[3 * i + l] += j[3 * k + i] * j[3 * k + l];
    }
  }
  Buffer<double> b(context(), at), got(context(), 3);
  EXPECT_NEAR(f.gradient(b.data(), got.data()), value, 1e-12 * value);
  EXPECT_TRUE(close(got.download(), gradient, 1e-12));
  EXPECT_TRUE(close(dense(*f.curvature(b.data(), Curvature::hessian)), hessian_of(*reference, at), 1e-12));
  EXPECT_TRUE(close(dense(*f.curvature(b.data(), Curvature::ggn)), ggn, 1e-12));
}

TEST_P(GraphObjectiveTest, WhatDoesNotFitIsRefused) {
  Graph<double> no_input;
  no_input.parameter("x", {1, 1});
  EXPECT_TRUE(
      contains(message_of<UsageError>([&] { GraphObjective<double>(context(), std::move(no_input)); }), "no input"));
  EXPECT_TRUE(
      contains(message_of<UsageError>([&] { GraphObjective<double>(context(), rosenbrock_graph(), {}, {}, -1); }),
               "weight = -1"));
  Graph<double> line;
  const Node z = linear(line, line.input({1}), line.parameter("w", {1, 1}));
  line.set_output(z);
  line.set_loss(squared_error(line, z, line.target({1})));
  const Numbers three{1, 2, 3}, two{1, 2};
  EXPECT_THROW(GraphObjective<double>(context(), std::move(line), three, two), InputError);
  EXPECT_THROW(GraphObjective<double>(context(), Graph<double>{}), UsageError);
}

}  // namespace
}  // namespace hso::test
