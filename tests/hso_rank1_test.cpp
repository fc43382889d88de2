// SPDX-License-Identifier: Apache-2.0
//
// Inverses from rank-one updates against matrices that are formed and solved here.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/functions.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"
#include "support/symmetric.hpp"

namespace hso::test {
namespace {

template <class V>
V metric(const StepReport& report, const std::string& name) {
  for (const auto& [key, value] : report.metrics)
    if (key == name) return std::get<V>(value);
  ADD_FAILURE() << "no metric " << name;
  return V{};
}

class HsoRank1 : public testing::Test {
 protected:
  std::unique_ptr<Context> cpu = Context::create("cpu");
  SymmetricCase c = with_spectrum("quadratic", {0.5, 1, 2, 3, 5, 8}, 4);
  Numbers b = random_numbers(6, 5);
  Smooth f{*cpu, 6, quadratic(c.matrix, b)};

  Numbers gradient_at(const Numbers& x) {
    Numbers g(x.size());
    f.gradient(x.data(), g.data());
    return g;
  }
  Numbers solved(Numbers a, Numbers rhs) {
    const Index n = static_cast<Index>(rhs.size());
    EXPECT_EQ(
        solve(*cpu, View<double>{a.data(), Shape{n, n}, 1, n * n}, View<double>{rhs.data(), Shape{1, n}, 1, n}).status,
        LinalgStatus::ok);
    return rhs;
  }
};

Numbers minus(Numbers a, const Numbers& b, double scale = 1) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = (a[i] - b[i]) / scale;
  return a;
}
double norm(const Numbers& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return std::sqrt(sum);
}

/// Every step is -length ((delta I + sum_j decay^(k-j) g_j g_j')^-1 + eps I) g_k, the sum over the last `window`
/// gradients.
TEST_F(HsoRank1, OuterIsTheInverseOfTheSumOfOuterProducts) {
  struct Way {
    const char *memory, *decay;
    std::size_t window;
    double w;
  };
  for (const Way& way : {Way{"0", "1", 100, 1}, Way{"20", "1", 100, 1}, Way{"3", "1", 3, 1}, Way{"4", "0.7", 4, 0.7}}) {
    SCOPED_TRACE(std::string("memory ") + way.memory + ", decay " + way.decay);
    const auto optimizer = make_optimizer<double>(
        "hso.rank1", {{"memory", way.memory}, {"decay", way.decay}, {"delta", "0.5"}, {"eps", "0.02"}});
    Numbers x = random_numbers(6, 7);
    std::vector<Numbers> gradients;
    for (int k = 0; k < 12; ++k) {
      const Numbers start = x, g = gradient_at(x);
      gradients.push_back(g);
      if (gradients.size() > way.window) gradients.erase(gradients.begin());
      Numbers m(36);
      for (std::size_t i = 0; i < 36; ++i) {
        m[i] = i % 7 == 0 ? 0.5 : 0;
        for (std::size_t j = 0; j < gradients.size(); ++j)
          m[i] += std::pow(way.w, static_cast<double>(gradients.size() - 1 - j)) * gradients[j][i / 6] *
                  gradients[j][i % 6];
      }
      const StepReport r = optimizer->step(f, x.data());
      ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
      const Numbers step = minus(start, x, metric<double>(r, "length")), direction = solved(m, g);
      for (std::size_t i = 0; i < 6; ++i) ASSERT_NEAR(step[i], direction[i] + 0.02 * g[i], 1e-11 * norm(g)) << k;
    }
  }
}

/// After n independent updates B = H^-1: the next step is Newton's plus eps times the gradient, whichever the memory.
TEST_F(HsoRank1, Sr1FindsTheExactInverseAfterNUpdates) {
  for (const char* memory : {"0", "6", "9"}) {
    SCOPED_TRACE(memory);
    const auto optimizer = make_optimizer<double>("hso.rank1", {{"kind", "sr1"}, {"memory", memory}, {"eps", "0.01"}});
    Numbers x = random_numbers(6, 7);
    int updates = -1;  // the first step has no pair
    bool checked = false;
    for (int k = 0; k < 20 && !checked; ++k) {
      const Numbers start = x, g = gradient_at(x);
      const StepReport r = optimizer->step(f, x.data());
      ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
      updates += !metric<bool>(r, "skipped");
      if (updates < 6) continue;
      const Numbers newton = solved(c.matrix, g);
      for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(start[i] - x[i], newton[i] + 0.01 * g[i], 1e-7 * norm(newton));
      EXPECT_EQ(metric<double>(r, "length"), 1);
      EXPECT_FALSE(metric<bool>(r, "fallback"));
      checked = true;
    }
    EXPECT_TRUE(checked);
  }
}

/// Pairs whose s - B y is orthogonal to y, or zero, change nothing: on f = |x|^2 / 2 B is I after the first pair.
TEST_F(HsoRank1, PairsThatSayNothingAreSkipped) {
  for (const char* memory : {"0", "4"}) {
    Smooth round(*cpu, 3, quadratic({1, 0, 0, 0, 1, 0, 0, 0, 1}, {0, 0, 0}));
    const auto optimizer =
        make_optimizer<double>("hso.rank1", {{"kind", "sr1"}, {"memory", memory}, {"rate", "0.25"}, {"skip", "1e-6"}});
    Numbers x{3, 4, 12};
    for (int k = 0; k < 4; ++k) {
      const StepReport r = optimizer->step(round, x.data());
      ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
      EXPECT_EQ(metric<bool>(r, "skipped"), k >= 2) << memory << ", step " << k;  // the same direction again
    }
  }
}

/// From a point between a maximum and a minimum the first pairs show negative curvature, B is indefinite, and the
/// descent check takes over: f falls at every step and the end is a minimum.
TEST_F(HsoRank1, AnIndefiniteInverseFallsBackToTheGradientAndSaysSo) {
  for (const char* memory : {"0", "5"}) {
    Smooth s(*cpu, 2, saddle);
    const auto optimizer = make_optimizer<double>("hso.rank1", {{"kind", "sr1"}, {"memory", memory}, {"rate", "0.1"}});
    Numbers x{0.01, 0.05};
    bool fell_back = false;
    double before = s.value(x.data());
    for (int k = 0; k < 60; ++k) {
      const StepReport r = optimizer->step(s, x.data());
      if (r.status != StepStatus::accepted) break;
      if (metric<bool>(r, "fallback")) {
        fell_back = true;
        EXPECT_TRUE(contains(r.message, "hso.rank1", "gradient step"));
      }
      EXPECT_LT(r.loss_after, before);
      before = r.loss_after;
    }
    EXPECT_TRUE(fell_back) << memory;
    EXPECT_NEAR(before, -0.25, 1e-6) << memory;
  }
}

/// e_{k+1} / e_k -> 0 on a function that is no quadratic.
TEST_F(HsoRank1, Sr1ConvergesSuperlinearly) {
  const auto bowl = [this](const double* x, double* g, double* h) {
    double value = quadratic(c.matrix, Numbers(6, 0.0))(x, g, h);
    for (int i = 0; i < 6; ++i) {
      value += std::cosh(x[i]) - 1;
      if (g != nullptr) g[i] += std::sinh(x[i]);
    }
    return value;
  };
  for (const char* memory : {"0", "12"}) {
    Smooth s(*cpu, 6, bowl);
    const auto optimizer = make_optimizer<double>("hso.rank1", {{"kind", "sr1"}, {"memory", memory}});
    Numbers x(6, 1.0), e;
    for (int k = 0; k < 60 && optimizer->step(s, x.data()).status == StepStatus::accepted; ++k) e.push_back(norm(x));
    std::size_t last = 0;
    while (last + 1 < e.size() && e[last + 1] > 1e-7) ++last;  // f itself is rounding below the root of epsilon
    ASSERT_GE(last, 6U);
    EXPECT_LT(last, 40U) << memory;
    EXPECT_LT(e[last] / e[last - 1], 0.1) << memory;
    EXPECT_LT(e[last] / e[last - 1], 0.5 * e[last / 2] / e[last / 2 - 1]) << memory;
  }
}

/// The same steps in both precisions and on every device, to float's rounding.
class HsoRank1Devices : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, HsoRank1Devices, testing::ValuesIn(contexts()), device_word);

TEST_P(HsoRank1Devices, TrainsANetwork) {
  for (const OptimizerSettings& settings : {OptimizerSettings{{"kind", "outer"}},
                                            {{"kind", "outer"}, {"memory", "10"}, {"decay", "0.9"}},
                                            {{"kind", "sr1"}},
                                            {{"kind", "sr1"}, {"memory", "10"}}}) {
    Setting<float> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto objective = s.objective();
    const auto optimizer = make_optimizer<float>("hso.rank1", settings);
    const double before = objective.value(s.theta.data());
    double last = before;
    for (int k = 0; k < 20; ++k) {
      const StepReport r = optimizer->step(objective, s.theta.data());
      const double now = objective.value(s.theta.data());
      EXPECT_LE(now, last);
      EXPECT_NEAR(r.loss_after, now, 1e-6);
      last = now;
    }
    EXPECT_LT(last, 0.9 * before) << settings.at("kind");
  }
}

TEST_F(HsoRank1, WhatMakesNoSenseIsRefused) {
  const auto message = [](const OptimizerSettings& settings) {
    return message_of<UsageError>([&] { make_optimizer<double>("hso.rank1", settings); });
  };
  EXPECT_TRUE(contains(message({{"kind", "bfgs"}}), "hso.rank1", "outer or sr1"));
  EXPECT_TRUE(contains(message({{"eps", "-1"}}), "eps = -1"));
  EXPECT_TRUE(contains(message({{"delta", "0"}}), "delta = 0", "above 0"));
  EXPECT_TRUE(contains(message({{"memory", "-2"}}), "memory = -2"));
  EXPECT_TRUE(contains(message({{"decay", "0.9"}}), "decay = 0.9", "memory = 0"));
  EXPECT_TRUE(contains(message({{"memroy", "3"}}), "memory"));
}

}  // namespace
}  // namespace hso::test
