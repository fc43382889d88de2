// SPDX-License-Identifier: Apache-2.0
//
// The networks of fixtures/make_fixtures.py, written down again, against PyTorch's float64 values. The dual-number
// oracle answers to the same values.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/array_file.hpp"
#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/runner.hpp"

namespace hso::test {
namespace {

Net lenet() {
  Net net;
  int h = net.activation(net.convolution(net.input({1, 8, 8}), {3, 1, 3, 3}, {.padding = {1, 1}}), "relu");
  h = net.activation(net.convolution(net.maxpool2d(h), {4, 3, 2, 2}), "relu");
  h = net.maxpool2d(h, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
  h = net.activation(net.dense(net.reshape(h, {16}), 16, 8), "relu");
  net.cross_entropy(net.dense(h, 8, 5));
  return net;
}

Net activations() {
  Net net;
  int h = net.activation(net.dense(net.input({5}), 5, 7), "gelu");
  h = net.activation(net.dense(h, 7, 6), "silu");
  h = net.activation(net.dense(h, 6, 6), "elu", 0.7);
  h = net.activation(net.dense(h, 6, 5), "softplus");
  h = net.activation(net.dense(h, 5, 5), "leaky_relu", 0.2);
  net.cross_entropy(net.dense(h, 5, 4));
  return net;
}

Net residual() {
  Net net;
  int h = net.activation(net.convolution(net.input({2, 5, 6}), {4, 2, 3, 3}, {.padding = {1, 1}}), "tanh");
  h = net.sum(h, net.activation(net.convolution(h, {4, 4, 3, 3}, {.padding = {1, 1}}), "silu"));
  h = net.sum(h, net.activation(net.convolution(h, {4, 4, 1, 1}, {}, false), "sigmoid"));
  net.cross_entropy(net.dense(net.reshape(net.adaptive_avgpool2d(h, 2, 3), {24}), 24, 3));
  return net;
}

Net groups() {
  Net net;
  const ConvOptions first{.stride = {1, 2}, .padding = {1, 2}, .dilation = {2, 1}, .groups = 2};
  int h = net.activation(net.convolution(net.input({4, 6, 5}), {6, 2, 2, 3}, first), "gelu");
  h = net.avgpool2d(h, {.kernel = {3, 2}, .stride = {2, 2}, .padding = {1, 0}});
  h = net.activation(net.convolution(h, {6, 1, 2, 2}, {.padding = {1, 1}, .groups = 6}), "softplus");
  net.cross_entropy(net.dense(net.reshape(h, {72}), 72, 3));
  return net;
}

Net logistic() {
  Net net;
  const int h = net.activation(net.dense(net.input({7}), 7, 6), "tanh");
  net.finish(net.dense(h, 6, 4), Layer::Kind::bce, {4});
  return net;
}

Net regression() {
  Net net;
  const int x = net.input({9}), w1 = net.parameter({6, 9}), b1 = net.parameter({6});
  const int w2 = net.parameter({6, 6}), b2 = net.parameter({6});
  int h = net.activation(net.linear(x, w1, b1), "sigmoid");
  for (int i = 0; i < 2; ++i) h = net.activation(net.linear(h, w2, b2), "tanh");
  net.finish(net.dense(h, 6, 3), Layer::Kind::squared_error, {3});
  return net;
}

/// `out` numbers of a layer over sequences, and a linear head.
Net sequence(const Extents& sample, const std::string& line, int out, Layer::Kind loss = Layer::Kind::cross_entropy) {
  Net net;
  const int h = net.reshape(net.layer(net.input(sample), sample, line), {out});
  net.finish(net.dense(h, out, 3), loss, loss == Layer::Kind::cross_entropy ? Extents{} : Extents{3});
  return net;
}

/// A class for each of `steps` steps, from `features` numbers of each.
void finish_steps(Net& net, int h, int steps, int features) {
  net.finish(net.dense(h, features, 3), Layer::Kind::cross_entropy, {steps});
}

Net language() {
  Net net;
  int h = net.layer(net.input({4}), {4}, "embedding count = 6, out = 4");
  h = net.layer(net.layer(h, {4, 4}, "positions"), {4, 4}, "layernorm");
  finish_steps(net, h, 4, 4);
  return net;
}

Net over_steps(const std::string& line) {
  Net net;
  finish_steps(net, net.layer(net.input({3, 4}), {3, 4}, line), 3, 4);
  return net;
}

Net batchnorm2d() {
  Net net;
  const auto convolution = [&](int x, int in) { return net.convolution(x, {4, in, 3, 3}, {.padding = {1, 1}}, false); };
  int h = convolution(net.input({2, 5, 6}), 2);
  h = net.activation(net.layer(h, {4, 5, 6}, "batchnorm2d"), "tanh");
  h = net.sum(h, net.layer(convolution(h, 4), {4, 5, 6}, "batchnorm2d momentum = 0.3"));
  h = net.layer(net.convolution(h, {3, 4, 2, 2}, {.stride = {2, 2}}), {3, 2, 3}, "batchnorm2d eps = 0.01");
  h = net.adaptive_avgpool2d(net.activation(h, "tanh"), 1, 1);
  net.cross_entropy(net.dense(net.reshape(h, {3}), 3, 3));
  return net;
}

Net batchnorm1d() {
  Net net;
  const int h = net.activation(net.layer(net.dense(net.input({5}), 5, 6), {6}, "batchnorm1d"), "tanh");
  net.finish(net.layer(net.dense(h, 6, 4), {4}, "batchnorm1d"), Layer::Kind::bce, {4});
  return net;
}

struct Fixture {
  const char* name;
  Net net;
};
std::vector<Fixture> fixtures() {
  return {{"lenet", lenet()},
          {"activations", activations()},
          {"residual", residual()},
          {"groups", groups()},
          {"logistic", logistic()},
          {"regression", regression()},
          {"rnn", sequence({4, 3}, "rnn hidden = 4, layers = 2", 16)},
          {"lstm", sequence({5, 2}, "lstm hidden = 3, bidirectional = true", 30)},
          {"lstm_last", sequence({4, 2}, "lstm hidden = 4, layers = 2, last = true", 4, Layer::Kind::squared_error)},
          {"gru", sequence({4, 2}, "gru hidden = 3, layers = 2, bidirectional = true, last = true", 6)},
          {"gru_no_bias", sequence({3, 3}, "gru hidden = 4, bias = false", 12, Layer::Kind::bce)},
          {"language", language()},
          {"attention", over_steps("multihead_attention heads = 2")},
          {"transformer", over_steps("transformer heads = 2, hidden = 5, causal = true")},
          {"batchnorm2d", batchnorm2d()},
          {"batchnorm1d", batchnorm1d()}};
}

Problem problem_of(const Fixture& fixture, const NamedArrays& data) {
  Problem p;
  p.net = &fixture.net;
  p.training = true;  // of batchnorm
  p.theta = data["theta"];
  p.x = data["x"];
  p.t = data["y"];
  int row = 1;
  for (int extent : fixture.net.layers[0].shape) row *= extent;
  p.batch = static_cast<int>(p.x.size()) / row;
  p.weights.assign(static_cast<std::size_t>(p.batch), 1.0 / p.batch);
  return p;
}

template <class F>
void for_fixtures(const F& body) {
  for (const Fixture& fixture : fixtures()) {
    SCOPED_TRACE(fixture.name);
    const NamedArrays data = read_arrays("fixtures/derivatives.json", "fixtures/derivatives.f64", fixture.name);
    ASSERT_EQ(static_cast<std::size_t>(fixture.net.parameters), data["theta"].size());
    body(problem_of(fixture, data), data);
  }
}

Numbers diagonal(const Numbers& matrix, std::size_t n) {
  Numbers out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(matrix[i * n + i]);
  return out;
}

class Fixtures : public OnDevice {};

TEST_P(Fixtures, AgreeWithPyTorch) {
  for_fixtures([&](const Problem& p, const NamedArrays& data) {
    for_types([&]<class T>() {
      const double tolerance = exact_tolerance<T>();
      Runner<T> run(context(), p, 32);
      EXPECT_TRUE(close({run.linearize()}, data["loss"], tolerance)) << "loss";
      EXPECT_TRUE(close(run.gradient(), data["grad"], tolerance)) << "gradient";
      EXPECT_TRUE(close(run.product(Curvature::hessian, data["v"]), data["Hv"], tolerance)) << "H v";
      EXPECT_TRUE(close(run.product(Curvature::ggn, data["v"]), data["GGNv"], tolerance)) << "G v";
      if (!run.graph.statistics().empty()) {
        EXPECT_TRUE(close(run.next_statistics(), data["statistics"], tolerance)) << "running statistics";
      }
      EXPECT_TRUE(close(diagonal(run.dense(Curvature::hessian), p.theta.size()), data["diag_H"], tolerance))
          << "diag H";
    });
  });
}
INSTANTIATE_TEST_SUITE_P(Devices, Fixtures, testing::ValuesIn(contexts()), device_word);

TEST(DualNumbers, AgreeWithPyTorch) {
  for_fixtures([](const Problem& p, const NamedArrays& data) {
    EXPECT_TRUE(close({reference_loss(p)}, data["loss"], 1e-13)) << "loss";
    EXPECT_TRUE(close(reference_gradient(p), data["grad"], 1e-13)) << "gradient";
    const Numbers d = data["diag_H"];
    const auto largest = std::max_element(d.begin(), d.end()) - d.begin();  // some are zero: attention's key biases
    Numbers corner(p.theta.size());
    corner[static_cast<std::size_t>(largest)] = 1;
    EXPECT_TRUE(close(dot(reference_product(p, corner), corner), d[static_cast<std::size_t>(largest)], 1e-12))
        << "H_ii";
  });
}

}  // namespace
}  // namespace hso::test
