// SPDX-License-Identifier: Apache-2.0
//
// AdaHessian and Sophia against float64 code written from the papers, with diagonals from dense matrices; and the
// layout of theta that methods for matrices see.
#include <gtest/gtest.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"

namespace hso::test {
namespace {

class DiagonalMethods : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, DiagonalMethods, testing::ValuesIn(contexts()), device_word);

const char* const kConvolution = R"(
input = [2, 4, 3]
[[layer]]
type = "conv2d"
out = 3
kernel = [3, 2]
[[layer]]
type = "tanh"
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
out = 3
)";
ModelSpec convolution() { return parse_model_toml(kConvolution, "convolution.toml"); }

/// Gradient, and u o Hu by plain loops over the dense Hessian, u the library's draw.
struct Sample {
  Numbers g, d;
};
Sample sample_of(Setting<double>& s, std::uint64_t seed, std::uint64_t stream, detail::Distribution distribution) {
  auto f = s.objective();
  Buffer<double> g(s.context, s.n()), u(s.context, s.n());
  f.gradient(s.theta.data(), g.data());
  s.context.ops<double>().for_each(1, s.n(),
                                   detail::RandomFill<double>{u.data(), seed, stream, distribution, 0.0, 1.0});
  const Numbers h = s.dense(f, Curvature::hessian), probe = u.download();
  Sample out{g.download(), Numbers(probe.size())};
  for (std::size_t i = 0; i < probe.size(); ++i) {
    if (distribution == detail::Distribution::rademacher) {
      EXPECT_EQ(std::fabs(probe[i]), 1);
    }
    for (std::size_t j = 0; j < probe.size(); ++j) out.d[i] += probe[i] * h[i * probe.size() + j] * probe[j];
  }
  return out;
}

/// Means over groups of `size` entries of each tensor that has `rank` axes.
void average(Numbers& d, const std::vector<ParameterInfo>& parameters, const std::string& spatial) {
  for (const ParameterInfo& p : parameters) {
    const bool kernel = spatial == "kernel" && p.shape.rank() == 4, row = spatial == "row" && p.shape.rank() > 1;
    if (!kernel && !row) continue;
    const Index size = kernel ? p.shape[2] * p.shape[3] : p.shape.size() / p.shape[0];
    for (Index first = p.offset; first < p.offset + p.shape.size(); first += size) {
      double mean = 0;
      for (Index i = first; i < first + size; ++i) mean += d[static_cast<std::size_t>(i)] / static_cast<double>(size);
      for (Index i = first; i < first + size; ++i) d[static_cast<std::size_t>(i)] = mean;
    }
  }
}

/// step(i, sample, out) is the reference; returns the worst deviation of a step over its largest entry.
template <class T, class Reference>
double deviation(Context& context, const std::string& name, const OptimizerSettings& settings,
                 detail::Distribution distribution, const Reference& reference) {
  Setting<T> s(context, convolution(), LossKind::cross_entropy, 12);
  Setting<double> exact(context, convolution(), LossKind::cross_entropy, 12);
  auto f = s.objective();
  const auto optimizer = make_optimizer<T>(name, settings);
  double worst_so_far = 0;
  for (int i = 0; i < 4; ++i) {
    const Numbers before = widen(s.theta.download());
    exact.theta.upload(before);
    const Sample sample = sample_of(exact, 7, static_cast<std::uint64_t>(i), distribution);
    Numbers expected(before.size());
    reference(i, sample, s.network.parameters, expected);
    EXPECT_EQ(optimizer->step(f, s.theta.data()).status, StepStatus::accepted);
    Numbers moved = widen(s.theta.download());
    for (std::size_t k = 0; k < moved.size(); ++k) moved[k] -= before[k];
    worst_so_far = std::max(worst_so_far, worst(moved, expected));
  }
  return worst_so_far;
}

template <class T>
constexpr double kClose = sizeof(T) == 8 ? 1e-11 : 2e-3;

TEST_P(DiagonalMethods, AdaHessianIsThePapers) {
  for (const std::string spatial : {"none", "row", "kernel"})
    for (const int refresh : {1, 3})
      for_types([&]<class T>() {
        Numbers m, v, d;
        const double power = 0.7;
        const auto reference = [&](int i, const Sample& sample, const std::vector<ParameterInfo>& p, Numbers& out) {
          if (i == 0) m = v = Numbers(out.size());
          if (i % refresh == 0) {
            d = sample.d;
            average(d, p, spatial);
          }
          for (std::size_t k = 0; k < out.size(); ++k) {
            m[k] = 0.8 * m[k] + 0.2 * sample.g[k];
            v[k] = 0.9 * v[k] + 0.1 * d[k] * d[k];
            const double root = std::sqrt(v[k] / (1 - std::pow(0.9, i + 1)));
            out[k] = -0.1 * m[k] / (1 - std::pow(0.8, i + 1)) / (std::pow(root, power) + 0.05);
          }
        };
        const OptimizerSettings settings{
            {"rate", "0.1"},  {"beta1", "0.8"},     {"beta2", "0.9"}, {"epsilon", "0.05"},
            {"power", "0.7"}, {"spatial", spatial}, {"seed", "7"},    {"refresh", std::to_string(refresh)}};
        EXPECT_LE((deviation<T>(context(), "adahessian", settings, detail::Distribution::rademacher, reference)),
                  kClose<T>)
            << spatial << refresh;
      });
}

TEST_P(DiagonalMethods, SophiaIsThePapers) {
  for_types([&]<class T>() {
    Numbers m, h;
    int clipped = 0, free = 0;
    const auto reference = [&](int i, const Sample& sample, const std::vector<ParameterInfo>&, Numbers& out) {
      if (i == 0) m = h = Numbers(out.size());
      for (std::size_t k = 0; k < out.size(); ++k) {
        m[k] = 0.8 * m[k] + 0.2 * sample.g[k];
        if (i % 2 == 0) h[k] = 0.5 * h[k] + 0.5 * sample.d[k];
        const double ratio = m[k] / std::max(2 * h[k], 0.02);
        ++(std::fabs(ratio) > 1 ? clipped : free);
        out[k] = -0.1 * std::min(1.0, std::max(-1.0, ratio));
      }
    };
    const OptimizerSettings settings{{"rate", "0.1"},  {"beta1", "0.8"},    {"beta2", "0.5"}, {"gamma", "2"},
                                     {"refresh", "2"}, {"epsilon", "0.02"}, {"seed", "7"}};
    EXPECT_LE((deviation<T>(context(), "sophia", settings, detail::Distribution::normal, reference)), kClose<T>);
    EXPECT_GT(clipped, 0);
    EXPECT_GT(free, 0);
  });
}

/// The first Gauss-Newton-Bartlett estimate is the diagonal of the Monte Carlo Fisher matrix of the same draw.
TEST_P(DiagonalMethods, SophiaSquaresTheGradientsOfDrawnTargets) {
  Setting<double> s(context(), convolution(), LossKind::cross_entropy, 12);
  auto f = s.objective({.fisher_seed = 5});
  Buffer<double> g(context(), s.n());
  f.gradient(s.theta.data(), g.data());
  const Numbers fisher = s.dense(f, Curvature::fisher_mc), gradient = g.download(), before = s.theta.download();
  make_optimizer<double>(
      "sophia",
      {{"estimator", "gnb"}, {"gamma", "3"}, {"beta1", "0"}, {"beta2", "0"}, {"rate", "1"}, {"epsilon", "1e-3"}})
      ->step(f, s.theta.data());
  const Numbers after = s.theta.download();
  for (std::size_t i = 0; i < after.size(); ++i) {
    const double ratio = gradient[i] / std::max(3 * fisher[i * after.size() + i], 1e-3);
    EXPECT_NEAR(after[i] - before[i], -std::min(1.0, std::max(-1.0, ratio)), 1e-11);
  }
}

TEST_P(DiagonalMethods, LayoutsCoverTheta) {
  Setting<double> s(context(), convolution(), LossKind::cross_entropy, 4);
  auto f = s.objective();
  const std::vector<ParameterSlice> layout = f.layout();
  ASSERT_EQ(layout.size(), s.network.parameters.size());
  Index end = 0;
  for (std::size_t i = 0; i < layout.size(); ++i) {
    EXPECT_EQ(layout[i].name, s.network.parameters[i].name);
    EXPECT_EQ(layout[i].shape, s.network.parameters[i].shape);
    EXPECT_EQ(layout[i].offset, end);
    end += layout[i].size();
  }
  EXPECT_EQ(end, s.n());
  EXPECT_EQ(layout[0].rows(), 3);
  EXPECT_EQ(layout[0].columns(), 12);
  EXPECT_TRUE(layout[0].is_matrix());
  EXPECT_FALSE(layout[1].is_matrix());
  Quadratic q(context(), {1, 0, 0, 1}, {1, 1});
  EXPECT_EQ(q.layout().size(), 1u);
  EXPECT_EQ(q.layout()[0].size(), 2);
}

/// Shared slices once, overlapping ones as one vector, gaps filled.
TEST_P(DiagonalMethods, LayoutsOfTiedWeightsAreDisjoint) {
  Network<double> net;
  Graph<double>& g = net.graph;
  const Node x = g.input({3}), t = g.target({3});
  const Node w = g.parameter("w", {3, 3}), again = g.parameter_at("w2", {3, 3}, 0);
  const Node u = g.parameter_at("u", {3, 3}, 12), v = g.parameter_at("v", {3, 3}, 18);
  Node y = linear(g, x, w);
  for (Node next : {again, u, v}) y = linear(g, y, next);
  g.set_output(y);
  g.set_loss(squared_error(g, y, t));
  net.input = net.output = {3};
  net.loss = LossKind::squared_error;
  const Dataset rows = Setting<double>::dataset({3}, 3, LossKind::squared_error, 2, 1);
  const DeviceData<double> data(context(), net, rows);
  NetworkObjective<double> f(context(), net, data);
  const std::vector<ParameterSlice> layout = f.layout();
  ASSERT_EQ(layout.size(), 3u);
  EXPECT_EQ(layout[0].name, "w");
  EXPECT_TRUE(layout[0].is_matrix());
  EXPECT_EQ(layout[1].name, "unused");
  EXPECT_EQ(layout[1].size(), 3);
  EXPECT_EQ(layout[2].offset, 12);
  EXPECT_EQ(layout[2].size(), 15);
  EXPECT_FALSE(layout[2].is_matrix());
}

}  // namespace
}  // namespace hso::test
