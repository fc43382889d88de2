// SPDX-License-Identifier: Apache-2.0
//
// hso.kfac and hso.ekfac: factored damping, averaged factors, momentum by the model, steps that nothing judges.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/adapters.hpp"
#include "hsogpu/objective/kronecker.hpp"
#include "hsogpu/optim/minimize.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

class HsoKronecker : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, HsoKronecker, testing::ValuesIn(contexts()), device_word);

constexpr Index kOut = 3, kIn = 6;  // of mlp:5-3, the bias among its inputs

/// theta of mlp:5-3, W [3][5] and b [3], as [W b] [3][6].
Numbers as_matrix(const Numbers& theta) {
  Numbers out;
  for (Index i = 0; i < kOut; ++i) {
    for (Index j = 0; j + 1 < kIn; ++j) out.push_back(theta[static_cast<std::size_t>(i * (kIn - 1) + j)]);
    out.push_back(theta[static_cast<std::size_t>(kOut * (kIn - 1) + i)]);
  }
  return out;
}

Numbers product(const Numbers& a, const Numbers& b, Index rows, Index inner, Index columns) {
  Numbers c(static_cast<std::size_t>(rows * columns));
  for (Index i = 0; i < rows; ++i)
    for (Index k = 0; k < inner; ++k)
      for (Index j = 0; j < columns; ++j)
        c[static_cast<std::size_t>(i * columns + j)] +=
            a[static_cast<std::size_t>(i * inner + k)] * b[static_cast<std::size_t>(k * columns + j)];
  return c;
}

double trace(const Numbers& a, Index n) {
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += a[static_cast<std::size_t>(i * (n + 1))];
  return sum;
}

/// (B + sqrt(delta) / pi I) S (A + pi sqrt(delta) I), pi^2 the ratio of the mean eigenvalues.
Numbers damped_factors_times(KroneckerOperator<double>& k, double delta, const Numbers& s) {
  Numbers a = k.input_factor(0), b = k.output_factor(0);
  const double pi = std::sqrt(trace(a, kIn) / static_cast<double>(kIn) / (trace(b, kOut) / static_cast<double>(kOut)));
  for (Index i = 0; i < kIn; ++i) a[static_cast<std::size_t>(i * (kIn + 1))] += pi * std::sqrt(delta);
  for (Index i = 0; i < kOut; ++i) b[static_cast<std::size_t>(i * (kOut + 1))] += std::sqrt(delta) / pi;
  return product(product(b, as_matrix(s), kOut, kOut, kIn), a, kOut, kIn, kIn);
}

struct Softmax : Setting<double> {
  explicit Softmax(Context& c) : Setting<double>(c, "mlp:5-3", LossKind::cross_entropy, 40) {}
  Numbers gradient(NetworkObjective<double>& f) {
    Buffer<double> g(context, n());
    f.gradient(theta.data(), g.data());
    return g.download();
  }
};

/// theta after less theta before.
Numbers moved(Optimizer<double>& optimizer, Objective<double>& f, Buffer<double>& theta) {
  Numbers before = theta.download();
  const StepReport r = optimizer.step(f, theta.data());
  EXPECT_EQ(r.status, StepStatus::accepted) << r.message;
  Numbers after = theta.download();
  for (std::size_t i = 0; i < after.size(); ++i) after[i] -= before[i];
  return after;
}

void expect_negative(const Numbers& a, const Numbers& g) {
  ASSERT_EQ(a.size(), g.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], -g[i], 1e-12);
}

TEST_P(HsoKronecker, FactoredDampingSolvesTheDampedFactors) {
  Softmax s(context());
  auto f = s.objective();
  const Numbers g = as_matrix(s.gradient(f));
  const auto k = f.kronecker(s.theta.data());
  auto optimizer = make_optimizer<double>(
      "hso.kfac",
      {{"factors", "ggn"}, {"damping", "factored"}, {"delta", "0.05"}, {"eps_scale", "0"}, {"rescale", "false"}});
  expect_negative(damped_factors_times(*k, 0.05, moved(*optimizer, f, s.theta)), g);
}

/// Between refreshes the inverse stands for the damping it was made with, and the report says which that is.
TEST_P(HsoKronecker, ReportsTheDampingOfItsInverse) {
  Softmax s(context());
  auto f = s.objective();
  auto optimizer = make_optimizer<double>("hso.kfac", {{"damping", "factored"}, {"delta", "0.05"}, {"refresh", "3"}});
  std::vector<double> dampings, inverses;
  for (int i = 0; i < 4; ++i) {
    const StepReport report = optimizer->step(f, s.theta.data());
    ASSERT_EQ(report.status, StepStatus::accepted) << report.message;
    for (const auto& [name, value] : report.metrics) {
      if (name == "delta") dampings.push_back(std::get<double>(value));
      if (name == "inverse_delta") inverses.push_back(std::get<double>(value));
    }
  }
  ASSERT_EQ(dampings.size(), 4U);
  ASSERT_EQ(inverses.size(), 4U);
  EXPECT_EQ(inverses[0], dampings[0]);
  EXPECT_NE(dampings[1], dampings[0]);
  EXPECT_EQ(inverses[1], dampings[0]);
  EXPECT_EQ(inverses[2], dampings[0]);
  EXPECT_EQ(inverses[3], dampings[3]);
}

/// The second of two equal halves, and the mean of their factors.
TEST_P(HsoKronecker, AveragedFactorsAreThoseOfAllRowsSeen) {
  Softmax s(context());
  auto f = s.objective(), all = s.objective();
  std::vector<Index> first, second;
  for (Index row = 0; row < 20; ++row) first.push_back(row), second.push_back(20 + row);
  const auto k = all.kronecker(s.theta.data());
  // A rate this small moves nothing; a large one afterwards would be another optimizer.
  auto optimizer = make_optimizer<double>("hso.kfac", {{"factors", "ggn"},
                                                       {"damping", "factored"},
                                                       {"delta", "0.05"},
                                                       {"eps_scale", "0"},
                                                       {"judged", "false"},
                                                       {"factor_every", "1"},
                                                       {"refresh", "1"},
                                                       {"momentum", "0"},
                                                       {"kl_clip", "0"},
                                                       {"decay", "0.5"},
                                                       {"rate", "1e-6"}});
  f.select(first);
  moved(*optimizer, f, s.theta);
  f.select(second);
  const Numbers g = as_matrix(s.gradient(f));
  Numbers step = moved(*optimizer, f, s.theta);
  for (double& v : step) v *= 1e6;
  const Numbers back = damped_factors_times(*k, 0.05, step);
  for (std::size_t i = 0; i < back.size(); ++i) EXPECT_NEAR(back[i], -g[i], 1e-5);  // theta moved by 1e-6
  const auto own = f.kronecker(s.theta.data());
  EXPECT_GT(worst(damped_factors_times(*own, 0.05, step), back), 1e-2);  // the halves do differ
}

/// At the minimum over the plane of step and last displacement the damped model's gradient is orthogonal to both.
TEST_P(HsoKronecker, TheModelChoosesTheMomentum) {
  for (const OptimizerSettings& settings :
       {OptimizerSettings{{"eps_scale", "0"}}, {{"damping", "joint"}, {"factors", "ggn"}, {"decay", "0"}}}) {
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto f = s.objective(), judge = s.objective();
    auto optimizer = make_optimizer<double>("hso.kfac", settings);
    const Numbers last = moved(*optimizer, f, s.theta);
    Buffer<double> g(context(), s.n()), a_step(context(), s.n());
    const auto [value, ggn] = judge.linearize(s.theta.data(), g.data(), Curvature::ggn);
    const Numbers before = s.theta.download();
    const StepReport r = optimizer->step(f, s.theta.data());
    ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
    Numbers step = s.theta.download();
    for (std::size_t i = 0; i < step.size(); ++i) step[i] -= before[i];
    ggn->apply(Buffer<double>(context(), step).view(), a_step.view());
    const Numbers slope = g.download(), bend = a_step.download();
    double delta = -1, momentum = 0;
    for (const auto& [name, metric] : r.metrics) {
      if (name == "delta") delta = std::get<double>(metric);
      if (name == "momentum") momentum = std::get<double>(metric);
    }
    double along = 0, size = 0, own = 0;
    for (std::size_t i = 0; i < step.size(); ++i) {
      const double rest = slope[i] + bend[i] + delta * step[i];
      along += rest * last[i];
      own += rest * step[i];
      size += std::fabs(slope[i] * last[i]) + std::fabs(slope[i] * step[i]);
    }
    EXPECT_NE(momentum, 0);
    EXPECT_NEAR(along, 0, 1e-10 * size);
    EXPECT_NEAR(own, 0, 1e-10 * size);
  }
}

TEST_P(HsoKronecker, StepsThatNothingJudgesAreAHeavyBall) {
  for (const char* name : {"hso.kfac", "hso.ekfac"}) {
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    const auto two = [&](const char* momentum) {
      auto f = s.objective();
      Buffer<double> theta(context(), s.theta.download());
      auto optimizer = make_optimizer<double>(
          name, {{"judged", "false"}, {"rate", "0.1"}, {"kl_clip", "0"}, {"momentum", momentum}});
      const Numbers first = moved(*optimizer, f, theta);
      return std::pair(first, moved(*optimizer, f, theta));
    };
    const auto [first, plain] = two("0");
    const auto [same, heavy] = two("0.5");
    for (std::size_t i = 0; i < first.size(); ++i) {
      EXPECT_EQ(first[i], same[i]);
      EXPECT_NEAR(heavy[i], plain[i] + 0.5 * first[i], 1e-13) << name;
    }
  }
}

/// rate^2 g'd is the bound, and the direction stays.
TEST_P(HsoKronecker, AClippedStepHasTheBoundsLength) {
  Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
  Buffer<double> g(context(), s.n());
  auto judge = s.objective();
  judge.gradient(s.theta.data(), g.data());
  const Numbers slope = g.download();
  const auto size = [&](const char* clip) {
    auto f = s.objective();
    Buffer<double> theta(context(), s.theta.download());
    auto optimizer = make_optimizer<double>(
        "hso.kfac", {{"judged", "false"}, {"rate", "0.5"}, {"kl_clip", clip}, {"momentum", "0"}});
    const Numbers step = moved(*optimizer, f, theta);
    double along = 0;
    for (std::size_t i = 0; i < step.size(); ++i) along -= slope[i] * step[i];
    return along;  // rate nu g'd
  };
  const double whole = size("0"), clipped = size("1e-4");
  ASSERT_GT(0.5 * whole, 1e-4);
  EXPECT_NEAR(clipped * clipped, 1e-4 * whole / 0.5, 1e-10 * clipped);
}

/// The words and zeros that stand for a choice, and what is chosen, of a network.
TEST_P(HsoKronecker, DefaultsAreDrawnAveragedFactorsWithFactoredDamping) {
  const auto end = [&](const char* name, const OptimizerSettings& settings) {
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto f = s.objective();
    auto optimizer = make_optimizer<double>(name, settings);
    for (int i = 0; i < 12; ++i) EXPECT_EQ(optimizer->step(f, s.theta.data()).status, StepStatus::accepted);
    return s.theta.download();
  };
  EXPECT_EQ(end("hso.kfac", {}), end("hso.kfac", {{"factors", "fisher_mc"},
                                                  {"damping", "factored"},
                                                  {"decay", "0.95"},
                                                  {"factor_every", "1"},
                                                  {"refresh", "1"}}));
  EXPECT_EQ(end("hso.ekfac", {}), end("hso.ekfac", {{"factors", "fisher_mc"}, {"damping", "joint"}}));
  const auto unjudged = [&](const char* factor_every, const char* refresh) {
    return end("hso.kfac", {{"judged", "false"}, {"factor_every", factor_every}, {"refresh", refresh}});
  };
  EXPECT_EQ(unjudged("0", "0"), unjudged("10", "50"));
  EXPECT_NE(unjudged("0", "0"), unjudged("1", "1"));
}

TEST_P(HsoKronecker, TheSameSeedDrawsTheSameFactors) {
  const auto end = [&] {
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto f = s.objective();
    auto optimizer =
        make_optimizer<double>("hso.kfac", {{"factors", "fisher_mc"}, {"decay", "0.9"}, {"damping", "factored"}});
    for (int i = 0; i < 4; ++i) optimizer->step(f, s.theta.data());
    return s.theta.download();
  };
  EXPECT_EQ(end(), end());
}

/// Shows what every objective shows, and not that it is a network's.
template <class T>
class HiddenNetwork final : public Objective<T> {
 public:
  explicit HiddenNetwork(Objective<T>& inside) : inside_(inside) {}
  Context& context() const override { return inside_.context(); }
  Index dimension() const override { return inside_.dimension(); }
  std::vector<ParameterSlice> layout() const override { return inside_.layout(); }
  double value(const T* theta) override { return inside_.value(theta); }
  double gradient(const T* theta, T* g) override { return inside_.gradient(theta, g); }
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override {
    return inside_.curvature(theta, kind);
  }

 private:
  Objective<T>& inside_;
};

TEST_P(HsoKronecker, FactorsAndProductsAreOfTheCurvatureBatch) {
  const OptimizerSettings settings{{"factors", "fisher_mc"}, {"decay", "0.9"}, {"damping", "factored"}};
  const auto end = [&](int curvature_rows) {
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    auto loss = s.objective(), few = s.objective();
    std::vector<Index> rows(static_cast<std::size_t>(curvature_rows));
    std::iota(rows.begin(), rows.end(), Index{0});
    if (curvature_rows > 0) few.select(rows);
    SubsampledCurvature<double> both(loss, few);
    Objective<double>& f = curvature_rows > 0 ? static_cast<Objective<double>&>(both) : loss;
    auto optimizer = make_optimizer<double>("hso.kfac", settings);
    for (int i = 0; i < 4; ++i) {
      const StepReport r = optimizer->step(f, s.theta.data());
      EXPECT_EQ(r.status, StepStatus::accepted) << r.message;
      EXPECT_NEAR(r.loss_after, loss.value(s.theta.data()), 1e-14) << "judged on the rows of the gradient";
    }
    return s.theta.download();
  };
  EXPECT_EQ(end(60), end(0));  // all rows: nothing changes
  EXPECT_NE(end(20), end(0));
}

/// What counts, masks or adds to the loss stands around the network and does not hide it.
TEST_P(HsoKronecker, StepsOnTheNetworkInside) {
  for (const char* judged : {"true", "false"}) {
    const OptimizerSettings settings{
        {"factors", "fisher_mc"}, {"decay", "0.9"}, {"damping", "factored"}, {"judged", judged}, {"factor_every", "2"}};
    Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
    std::int64_t products = 0;
    const auto by_hand = [&](bool around) {
      products = 0;
      auto f = s.objective();
      MaskedObjective<double> masked(f, {});
      Buffer<double> theta(context(), s.theta.download());
      auto optimizer = make_optimizer<double>("hso.kfac", settings);
      for (int i = 0; i < 4; ++i)
        products += optimizer->step(around ? static_cast<Objective<double>&>(masked) : f, theta.data()).products;
      return theta.download();
    };
    const Numbers masked = by_hand(true), want = by_hand(false);
    EXPECT_LE(worst(masked, want), 1e-12);
    auto f = s.objective();
    Buffer<double> start(context(), s.theta.download());
    auto optimizer = make_optimizer<double>("hso.kfac", settings);
    const Summary summary = minimize(*optimizer, f, start, {.max_steps = 4});
    EXPECT_EQ(summary.gradients, 4);
    EXPECT_EQ(summary.products, products);
    if (std::string(judged) == "true") {
      EXPECT_LE(worst(start.download(), want), 1e-12);
    }
  }
}

TEST_P(HsoKronecker, BadOptionsAreNamed) {
  const auto message = [](const char* name, const OptimizerSettings& settings) {
    return message_of<UsageError>([&] { make_optimizer<double>(name, settings); });
  };
  EXPECT_TRUE(contains(message("hso.kfac", {{"damping", "split"}}), "damping = 'split'", "auto", "joint", "factored"));
  EXPECT_TRUE(contains(message("hso.ekfac", {{"damping", "factored"}}), "hso.ekfac", "joint"));
  EXPECT_TRUE(contains(message("hso.kfac", {{"factors", "hessian"}}), "factors = 'hessian'", "fisher_mc"));
  EXPECT_TRUE(contains(message("hso.kfac", {{"decay", "1"}}), "decay = 1"));
  EXPECT_TRUE(contains(message("hso.kfac", {{"factor_every", "-1"}}), "factor_every = -1"));
  Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 60);
  auto loss = s.objective();
  HiddenNetwork<double> f(loss);
  auto optimizer = make_optimizer<double>("hso.kfac", {{"damping", "factored"}});
  EXPECT_TRUE(
      contains(message_of<UsageError>([&] { optimizer->step(f, s.theta.data()); }), "hso.kfac", "need a network"));
}

}  // namespace
}  // namespace hso::test
