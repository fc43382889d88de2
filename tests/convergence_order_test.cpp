// SPDX-License-Identifier: Apache-2.0
//
// Orders of convergence, from the errors of the iterates.
#include <gtest/gtest.h>

#include "hsogpu/optim/optimizer.hpp"
#include "support/objectives.hpp"
#include "support/rosenbrock.hpp"

namespace hso::test {
namespace {

/// |x_k - x*| from `x` on until rounding is reached; refused steps do not count.
std::vector<double> errors_of(const std::string& name, const OptimizerSettings& settings, std::vector<double> x) {
  const auto cpu = Context::create("cpu");
  Rosenbrock f(*cpu, static_cast<Index>(x.size()));
  auto optimizer = make_optimizer<double>(name, settings);
  std::vector<double> errors{Rosenbrock::distance(x)};
  for (int i = 0; i < 100 && errors.back() > 1e-13; ++i)
    if (optimizer->step(f, x.data()).status == StepStatus::accepted) errors.push_back(Rosenbrock::distance(x));
  return errors;
}

/// log(e_{k+1} / e_k) / log(e_k / e_{k-1}) of the last three errors above `floor`.
double last_order(const std::vector<double>& errors, double floor) {
  std::size_t k = errors.size();
  while (k > 0 && errors[k - 1] < floor) --k;
  if (k < 3) return 0;
  return std::log(errors[k - 1] / errors[k - 2]) / std::log(errors[k - 2] / errors[k - 3]);
}

TEST(ConvergenceOrder, NewtonCgWithTightSolvesIsQuadratic) {
  const std::vector<double> errors = errors_of("newton_cg", {{"forcing", "1e-12"}}, {1.05, 1.1, 0.97, 0.95});
  ASSERT_LE(errors.back(), 1e-13);
  EXPECT_GT(last_order(errors, 1e-14), 1.7);
  // e_{k+1} <= C e_k^2 with one C: |H^-1| |H'| of Rosenbrock's function is about 2.5 * 2400 / 2.
  for (std::size_t k = 1; k < errors.size(); ++k)
    if (errors[k] > 1e-14 && errors[k - 1] < 0.05) {
      EXPECT_LE(errors[k], 3000 * errors[k - 1] * errors[k - 1]);
    }
}

/// In n + 1 steps the error falls by a factor that goes to zero itself (Byrd, Khalfan and Schnabel, SIAM J. Optim. 6
/// (1996) 1025): a linear method would keep it.
TEST(ConvergenceOrder, Sr1IsSuperlinear) {
  const std::vector<double> errors = errors_of("sr1", {}, {1.05, 1.1});
  std::vector<double> falls;  // over three steps, n = 2
  for (std::size_t k = 3; k < errors.size() && errors[k] > 1e-13; ++k) falls.push_back(errors[k] / errors[k - 3]);
  ASSERT_LE(errors.back(), 1e-13);
  ASSERT_GE(falls.size(), 6u);
  const std::size_t last = falls.size() - 1;
  EXPECT_LT(falls[last], 1e-4);
  EXPECT_LT(falls[last], 0.05 * falls[last - 2]);
  EXPECT_LT(falls[last - 2], 0.05 * falls[last - 5]);
}

/// Powell's singular function (x0 + 10 x1)^2 + 5 (x2 - x3)^2 + (x1 - 2 x2)^4 + 10 (x0 - x3)^4: its Hessian is singular
/// at the minimum 0, where Newton's error falls by 2/3 a step, as for any root of order three of the gradient.
TEST(ConvergenceOrder, NewtonIsLinearAtTwoThirdsOnPowellsSingularFunction) {
  const auto cpu = Context::create("cpu");
  Callback f(*cpu, 4, [](const double* x, double* g) {
    const double a = x[0] + 10 * x[1], b = x[2] - x[3], c = x[1] - 2 * x[2], d = x[0] - x[3];
    if (g != nullptr) {
      g[0] = 2 * a + 40 * d * d * d;
      g[1] = 20 * a + 4 * c * c * c;
      g[2] = 10 * b - 8 * c * c * c;
      g[3] = -10 * b - 40 * d * d * d;
    }
    return a * a + 5 * b * b + c * c * c * c + 10 * d * d * d * d;
  });
  // Differences of the gradient: what they lose (1e-10 of H) matters when H's small eigenvalues, of the order of
  // |x|^2, are as small.
  auto newton = make_optimizer<double>("newton_cg", {{"curvature", "finite_difference"}, {"forcing", "1e-10"}});
  std::vector<double> x{3, -1, 0, 1};
  const auto error = [&] { return std::sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + x[3] * x[3]); };
  for (int k = 0; k < 15; ++k) {
    const double before = error();
    ASSERT_EQ(newton->step(f, x.data()).status, StepStatus::accepted);
    if (k >= 3) {
      EXPECT_NEAR(error() / before, 2.0 / 3, 0.01) << "step " << k;
    }
  }
}

}  // namespace
}  // namespace hso::test
