// SPDX-License-Identifier: Apache-2.0
//
// First-order methods against recurrences written from the papers, in plain double.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "hsogpu/core/error.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

const Numbers kCentres{0.3, -1, 2, 0}, kWeights{1, 0.2, 3, 10}, kStart{1, 1, -1, 0.5};

/// f = sum_i w_i log cosh(x_i - c_i) on the CPU.
template <class T>
class LogCosh final : public Objective<T> {
 public:
  explicit LogCosh(Context& context) : context_(context) {}
  Context& context() const override { return context_; }
  Index dimension() const override { return 4; }
  double value(const T* x) override {
    double sum = 0;
    for (std::size_t i = 0; i < 4; ++i) sum += kWeights[i] * std::log(std::cosh(x[i] - kCentres[i]));
    return sum;
  }
  double gradient(const T* x, T* g) override {
    for (std::size_t i = 0; i < 4; ++i) g[i] = static_cast<T>(kWeights[i] * std::tanh(x[i] - kCentres[i]));
    return value(x);
  }

 private:
  Context& context_;
};

/// One coordinate: its position from its gradient, step t = 1, 2, ...
using Rule = std::function<double(double x, double g, int t)>;
/// A fresh rule for every coordinate.
using Recurrence = std::function<Rule()>;

struct Case {
  std::string name;
  OptimizerSettings settings;
  Recurrence recurrence;
};

Rule nesterov_of_the_paper(double rate, double mu) {
  // Sutskever et al. keep theta and v; PyTorch's point is theta + mu v, where the gradient is taken.
  return [rate, mu, v = 0.0](double x, double g, int) mutable {
    const double theta = x - mu * v;
    v = mu * v - rate * g;
    return theta + v + mu * v;
  };
}

Rule rmsprop(double rate, double alpha, double epsilon, bool centered, double momentum) {
  return [=, s = 0.0, m = 0.0, b = 0.0](double x, double g, int) mutable {
    s = alpha * s + (1 - alpha) * g * g;
    m = alpha * m + (1 - alpha) * g;
    b = momentum * b + g / (std::sqrt(centered ? s - m * m : s) + epsilon);
    return x - rate * b;
  };
}

Rule adagrad(double rate, double epsilon) {
  return [=, s = 0.0](double x, double g, int) mutable {
    s += g * g;
    return x - rate * g / (std::sqrt(s) + epsilon);
  };
}

Rule adamw(double rate, double decay) {
  return [=, m = 0.0, s = 0.0](double x, double g, int t) mutable {
    m = 0.9 * m + 0.1 * g;
    s = 0.999 * s + 0.001 * g * g;
    const double m_hat = m / (1 - std::pow(0.9, t)), s_hat = s / (1 - std::pow(0.999, t));
    return x - (rate * m_hat / (std::sqrt(s_hat) + 1e-8) + rate * decay * x);
  };
}

std::vector<Case> cases() {
  return {
      {"nesterov", {{"rate", "0.02"}, {"momentum", "0.8"}}, [] { return nesterov_of_the_paper(0.02, 0.8); }},
      {"rmsprop", {}, [] { return rmsprop(0.01, 0.99, 1e-8, false, 0); }},
      {"rmsprop",
       {{"alpha", "0.9"}, {"epsilon", "1e-3"}, {"momentum", "0.5"}},
       [] { return rmsprop(0.01, 0.9, 1e-3, false, 0.5); }},
      {"rmsprop",
       {{"alpha", "0.9"}, {"centered", "true"}, {"momentum", "0.5"}},
       [] { return rmsprop(0.01, 0.9, 1e-8, true, 0.5); }},
      {"adagrad", {{"rate", "0.3"}}, [] { return adagrad(0.3, 1e-10); }},
      {"adam", {{"rate", "0.01"}}, [] { return adamw(0.01, 0); }},
      {"adamw", {{"rate", "0.01"}, {"weight_decay", "0.3"}}, [] { return adamw(0.01, 0.3); }},
  };
}

/// The largest distance from the recurrence over 8 steps, both from kStart.
template <class T>
double distance(const Case& c) {
  const auto cpu = Context::create("cpu");
  LogCosh<T> f(*cpu);
  LogCosh<double> exact(*cpu);
  auto optimizer = make_optimizer<T>(c.name, c.settings);
  std::vector<T> x(kStart.begin(), kStart.end());
  Numbers y = kStart, g(4);
  std::vector<Rule> rules;
  for (int i = 0; i < 4; ++i) rules.push_back(c.recurrence());
  double most = 0;
  for (int t = 1; t <= 8; ++t) {
    EXPECT_EQ(optimizer->step(f, x.data()).status, StepStatus::accepted);
    exact.gradient(y.data(), g.data());
    for (std::size_t i = 0; i < 4; ++i) {
      y[i] = rules[i](y[i], g[i], t);
      most = std::max(most, std::abs(y[i] - static_cast<double>(x[i])));
    }
  }
  return most;
}

TEST(GradientMethods, FollowThePapers) {
  for (const Case& c : cases()) {
    EXPECT_LE(distance<double>(c), 2e-14) << c.name;  // 8 steps of about 10 roundings each, gradients below 10
    // The centred scale s - m^2 cancels: in float its relative error is eps s / (s - m^2), here up to 30 eps.
    EXPECT_LE(distance<float>(c), 2e-5) << c.name;
  }
}

TEST(GradientMethods, CenteredRmspropStandsAConstantGradient) {
  // The variance goes to 0 and rounding makes s - m^2 negative now and then; the root must not become NaN.
  class Linear final : public Objective<float> {
   public:
    explicit Linear(Context& c) : context_(c) {}
    Context& context() const override { return context_; }
    Index dimension() const override { return 1; }
    double value(const float* x) override { return 0.3 * static_cast<double>(*x); }
    double gradient(const float* x, float* g) override {
      *g = 0.3f;
      return value(x);
    }

   private:
    Context& context_;
  };
  const auto cpu = Context::create("cpu");
  Linear f(*cpu);
  auto optimizer =
      make_optimizer<float>("rmsprop", {{"centered", "true"}, {"alpha", "0.5"}, {"epsilon", "0.1"}, {"rate", "1e-3"}});
  float x = 0;
  for (int i = 0; i < 200; ++i) ASSERT_EQ(optimizer->step(f, &x).status, StepStatus::accepted);
  EXPECT_NEAR(x, -200 * 1e-3 * 0.3 / 0.1, 0.05 * 0.6);
}

TEST(GradientMethods, WhatMakesNoSenseIsRefused) {
  const auto message = [](const std::string& name, const OptimizerSettings& settings) {
    return message_of<UsageError>([&] { make_optimizer<double>(name, settings); });
  };
  EXPECT_TRUE(contains(message("nesterov", {{"momentum", "1"}}), "nesterov", "momentum = 1", "[0, 1)"));
  EXPECT_TRUE(contains(message("rmsprop", {{"alpha", "1"}}), "rmsprop", "alpha = 1"));
  EXPECT_TRUE(contains(message("rmsprop", {{"centered", "maybe"}}), "true or false"));
  EXPECT_TRUE(contains(message("adagrad", {{"epsilon", "0"}}), "epsilon = 0", "above 0"));
  EXPECT_TRUE(contains(message("adamw", {{"weight_decay", "-0.1"}}), "adamw", "weight_decay = -0.1"));
}

class FirstOrder : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, FirstOrder, testing::ValuesIn(contexts()), device_word);

TEST_P(FirstOrder, EveryMethodTrainsANetwork) {
  for (const char* name : {"nesterov", "rmsprop", "adagrad", "adamw"}) {
    Setting<float> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto f = s.objective();
    auto optimizer = make_optimizer<float>(name);
    const double before = f.value(s.theta.data());
    for (int i = 0; i < 30; ++i) optimizer->step(f, s.theta.data());
    EXPECT_LT(f.value(s.theta.data()), before) << name;
  }
}

}  // namespace
}  // namespace hso::test
