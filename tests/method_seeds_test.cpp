// SPDX-License-Identifier: Apache-2.0
//
// The seeds of the method: worked examples, the formula in every form where it is exact, the bound on eps, saddles, and
// orders of convergence measured from the iterates.
#include <gtest/gtest.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/functions.hpp"
#include "support/objectives.hpp"
#include "support/runner.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

struct Form {
  const char* name;
  OptimizerSettings settings;  ///< that make it Newton's method on a quadratic
};

void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

const OptimizerSettings kPlain{{"delta", "0"}, {"adaptive", "false"}, {"curvature", "hessian"}};

std::vector<Form> newton_forms() {
  const OptimizerSettings eigen = with(kPlain, {{"sign", "raw"}, {"eps_scale", "0"}});
  return {{"hso", eigen},
          {"hso.cholesky", with(kPlain, {{"eps_scale", "0"}})},
          {"hso.block", with(eigen, {{"rescale", "false"}})},
          {"hso.lowrank", with(eigen, {{"subspace", "false"}})},
          {"hso.cg",
           with(kPlain, {{"iterations", "20"}, {"tolerance", "1e-14"}, {"progress", "0"}, {"line_search", "0"}})}};
}

class MethodSeeds : public testing::Test {
 protected:
  std::unique_ptr<Context> context_ = Context::create("cpu");
};
class MethodSeedsOfForms : public testing::TestWithParam<Form> {
 protected:
  std::unique_ptr<Context> context_ = Context::create("cpu");
  std::unique_ptr<Optimizer<double>> make(const OptimizerSettings& more = {}) const {
    return make_optimizer<double>(GetParam().name, with(GetParam().settings, more));
  }
};
std::string form_word(const testing::TestParamInfo<Form>& form) {
  std::string name = form.param.name;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Forms, MethodSeedsOfForms, testing::ValuesIn(newton_forms()), form_word);

double norm(const Numbers& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return std::sqrt(sum);
}

/// f = x^2: g = 2 x and H u = 2, so g~ = 2 x + 0.2 and x <- 0.98 x - 0.002, a contraction to -0.1: after k steps from 0
/// x = -0.1 (1 - 0.98^k). Rounding adds at most half a last place of 0.1 a step, contracted: 50 x 7e-18.
TEST_F(MethodSeeds, HvpCorrectedGradientOnASquare) {
  Smooth f(*context_, 1, quadratic({2}, {0}));
  auto hvp = make_optimizer<double>("hvp", {{"rate", "0.01"}, {"alpha", "0.1"}, {"u", "ones"}, {"momentum", "0"}});
  double x = 0;
  for (int k = 1; k <= 100; ++k) {
    hvp->step(f, &x);
    ASSERT_NEAR(x, -0.1 * (1 - std::pow(0.98, k)), 1e-15) << k;
  }
}

/// H = [2 1; 1 2], eps = 1/6: H^-1 + eps I = [5 -2; -2 5] / 6, whose inverse is [10 4; 4 10] / 7. A step from a point
/// with gradient e_i is a column of it.
TEST_P(MethodSeedsOfForms, TheModifiedInverseByHand) {
  Numbers modified;
  for (int i = 0; i < 2; ++i) {
    Smooth f(*context_, 2, quadratic({2, 1, 1, 2}, {i == 0 ? -1.0 : 0.0, i == 1 ? -1.0 : 0.0}));
    Numbers x{0, 0};
    const StepReport r = make({{"eps", "0.16666666666666666"}})->step(f, x.data());
    ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
    modified.insert(modified.end(), {-x[0], -x[1]});
  }
  const Numbers expected{5.0 / 6, -2.0 / 6, -2.0 / 6, 5.0 / 6}, inverted{10.0 / 7, 4.0 / 7, 4.0 / 7, 10.0 / 7};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(modified[i], expected[i], 1e-14) << i;
  ASSERT_EQ(inverse(*context_, View<double>{modified.data(), Shape{2, 2}, 1, 4}).status, LinalgStatus::ok);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(modified[i], inverted[i], 1e-13) << i;
}

/// Two blocks, so that hso.block is exact too; the condition is 16, so 1e-12 is some thousand roundings.
struct TwoBlocks {
  explicit TwoBlocks(Context& context, const Numbers& b = {1, -2, 3, 0.5})
      : f(context, 4, quadratic({4, 1, 0, 0, 1, 3, 0, 0, 0, 0, 0.5, 0.2, 0, 0, 0.2, 1}, b),
          {{"first.weight", 0, Shape{2}}, {"second.weight", 2, Shape{1}}, {"second.bias", 3, Shape{1}}}) {}
  /// By Cramer's rule on each block.
  static Numbers solve(const Numbers& g) {
    return {(3 * g[0] - g[1]) / 11, (4 * g[1] - g[0]) / 11, (g[2] - 0.2 * g[3]) / 0.46,
            (0.5 * g[3] - 0.2 * g[2]) / 0.46};
  }
  Smooth f;
};

TEST_P(MethodSeedsOfForms, AStepIsNewtonsPlusEpsTimesTheGradient) {
  TwoBlocks q(*context_);
  const Numbers start{0.5, -0.25, 2, 1};
  Numbers g(4), x = start;
  q.f.gradient(start.data(), g.data());
  const StepReport r = make({{"eps", "0.05"}})->step(q.f, x.data());
  ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
  const Numbers newton = TwoBlocks::solve(g);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(x[i], start[i] - newton[i] - 0.05 * g[i], 1e-12) << i;
}

TEST_P(MethodSeedsOfForms, AQuadraticTakesOneStep) {
  TwoBlocks q(*context_);
  Numbers x{10, -10, 7, 3}, g(4);
  q.f.gradient(x.data(), g.data());
  const double before = norm(g);
  EXPECT_EQ(make()->step(q.f, x.data()).status, StepStatus::accepted);
  q.f.gradient(x.data(), g.data());
  EXPECT_LE(norm(g), 1e-13 * before);
}

/// f = 2 x^2 + y^2 / 2 at (1, 0): x <- -4 eps x, and |x| shrinks as long as eps < 1 / lambda_max = 1/4. At 1/4 the step
/// ends at -1, where the loss is the same to the bit.
TEST_P(MethodSeedsOfForms, AFullStepIsStableBelowEpsOfOneOverLambdaMax) {
  Smooth f(*context_, 2, quadratic({4, 0, 0, 1}, {0, 0}));
  for (const auto& [eps, status] : {std::pair{"0.2499999999999", StepStatus::accepted},
                                    {"0.25", StepStatus::rejected},
                                    {"0.2500000000001", StepStatus::rejected}}) {
    Numbers x{1, 0};
    EXPECT_EQ(make({{"eps", eps}})->step(f, x.data()).status, status) << eps;
    EXPECT_EQ(x == (Numbers{1, 0}), status == StepStatus::rejected);
  }
}

TEST_P(MethodSeedsOfForms, NegativeEpsAndDeltaAreRefused) {
  EXPECT_THROW(make({{"eps", "-1e-3"}}), UsageError);
  EXPECT_THROW(make({{"delta", "-1e-3"}}), UsageError);
}

/// The raw formula converges to the strict saddle and stays; |lambda| leaves it for a minimum.
TEST_F(MethodSeeds, AbsLeavesAStrictSaddleWhichCatchesRaw) {
  for (const char* name : {"hso", "hso.block", "hso.lowrank"}) {
    const auto run = [&](const OptimizerSettings& settings) {
      Smooth f(*context_, 2, saddle);
      auto optimizer = make_optimizer<double>(name, settings);
      Numbers x{1, 0.1};
      for (int k = 0; k < 50; ++k) optimizer->step(f, x.data());
      return saddle(x.data(), nullptr, nullptr);
    };
    EXPECT_GT(run({{"sign", "raw"}, {"delta", "1e-6"}, {"adaptive", "false"}}), -1e-3) << name;
    EXPECT_NEAR(run({{"sign", "abs"}}), -0.25, 1e-12) << name;
  }
}

/// What is not diagonalised is damped until it is positive definite: the saddle is left as well.
TEST_F(MethodSeeds, DampedFormsLeaveTheSaddleToo) {
  for (const char* name : {"hso.cholesky", "hso.cg"}) {
    Smooth f(*context_, 2, saddle);
    auto optimizer = make_optimizer<double>(name, {{"curvature", "hessian"}});
    Numbers x{1, 0.1};
    for (int k = 0; k < 60; ++k) optimizer->step(f, x.data());
    EXPECT_NEAR(saddle(x.data(), nullptr, nullptr), -0.25, 1e-9) << name;
  }
}

const OptimizerSettings kNewton{{"sign", "raw"}, {"delta", "0"}, {"eps_scale", "0"}, {"adaptive", "false"}};

/// Distances from `solution` of the start and every iterate.
Numbers distances(Optimizer<double>& optimizer, Objective<double>& f, Numbers x, const Numbers& solution, int steps) {
  Numbers out;
  for (int k = 0;; ++k) {
    Numbers error = x;
    for (std::size_t i = 0; i < x.size(); ++i) error[i] -= solution[i];
    out.push_back(norm(error));
    if (k == steps || optimizer.step(f, x.data()).status != StepStatus::accepted) return out;
  }
}

/// In the kernel of the Hessian at 0 f is a quartic form, where Newton's step takes 1/3 of the distance.
TEST_F(MethodSeeds, NewtonOnPowellsSingularFunctionIsLinearAtTwoThirds) {
  Smooth f(*context_, 4, powell_singular);
  const auto newton = make_optimizer<double>("hso", kNewton);
  const Numbers e = distances(*newton, f, {3, -1, 0, 1}, {0, 0, 0, 0}, 30);
  ASSERT_EQ(e.size(), 31U);
  for (std::size_t k = 10; k + 1 < e.size(); ++k) EXPECT_NEAR(e[k + 1] / e[k], 2.0 / 3, 1e-4) << k;
}

/// Order p means e_k ~ C e_0^(p^k): from starts at e_0 and e_0 / 4 on one ray, log(e_k / e_k') / log 4 is near 2 after
/// one step and near 4 after two (a linear method gives 1 and 1). Newton's bound e_{k+1} <= |H^-1| L / 2 e_k^2 has
/// |H^-1| up to 3.2 on the way and a Lipschitz constant L of 2500 here.
TEST_F(MethodSeeds, NewtonOnRosenbrocksFunctionIsQuadraticNearTheSolution) {
  Smooth f(*context_, 2, rosenbrock);
  const auto newton = make_optimizer<double>("hso", kNewton);
  const Numbers far = distances(*newton, f, {0.9995, 1}, {1, 1}, 3);
  const Numbers near = distances(*newton, f, {0.999875, 1}, {1, 1}, 3);
  ASSERT_GE(far.size(), 3U);
  ASSERT_GE(near.size(), 3U);
  EXPECT_NEAR(std::log(far[1] / near[1]) / std::log(4), 2, 0.2);
  EXPECT_NEAR(std::log(far[2] / near[2]) / std::log(4), 4, 0.5);
  for (std::size_t k = 0; k + 1 < far.size(); ++k) EXPECT_LT(far[k + 1], 4000 * far[k] * far[k]) << k;
}

}  // namespace
}  // namespace hso::test
