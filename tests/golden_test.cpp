// SPDX-License-Identifier: Apache-2.0
//
// The reference networks of tests/data/golden/nets: values by PyTorch's autograd in float64, checked when they were
// made against fourth-order differences.
#include <gtest/gtest.h>

#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "support/array_file.hpp"
#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/runner.hpp"

namespace hso::test {
namespace {

Net mlp(const Extents& sizes, const std::string& activation) {
  Net net;
  int h = net.input({sizes[0]});
  for (std::size_t i = 1; i < sizes.size(); ++i) {
    if (i > 1) h = net.activation(h, activation);
    h = net.dense(h, sizes[i - 1], sizes[i]);
  }
  net.output = h;
  return net;
}

Net cnn() {
  Net net;
  int h = net.activation(net.convolution(net.input({1, 8, 8}), {2, 1, 3, 3}, {.padding = {1, 1}}), "tanh");
  h = net.activation(net.convolution(net.avgpool2d(h), {3, 2, 3, 3}), "tanh");
  net.output = net.dense(net.reshape(h, {12}), 12, 10);
  return net;
}

/// The image's rows one after the other; one bias for inputs and states.
Net rnn() {
  Net net;
  const int x = net.reshape(net.input({64}), {8, 8});
  const int w_ih = net.parameter({5, 8}), w_hh = net.parameter({5, 5}), b = net.parameter({5});
  const int h = net.recurrence("rnn_tanh", net.linear(x, w_ih, b), w_hh);
  net.output = net.dense(net.reshape(net.slice(h, 0, 7, 1), {5}), 5, 10);
  return net;
}

struct Golden {
  std::string name;
  Net net;  ///< up to the logits
  bool squared_error = false;
};

std::vector<Golden> golden_nets() {
  return {{"mlp_tanh_ce", mlp({16, 5, 4, 10}, "tanh")},
          {"mlp_sigmoid_mse", mlp({16, 5, 4, 10}, "sigmoid"), true},
          {"mlp_relu_ce", mlp({16, 5, 4, 10}, "relu")},
          {"softmax_regression", mlp({16, 10}, "")},
          {"cnn_tanh_avgpool_ce", cnn()},
          {"rnn_tanh_ce", rnn()}};
}

NamedArrays arrays_of(const Golden& golden) {
  return read_arrays("data/golden/nets/index.json", "data/golden/nets/" + golden.name + ".f64", golden.name);
}

Numbers one_hot(const Numbers& labels, std::size_t classes) {
  Numbers out(labels.size() * classes);
  for (std::size_t i = 0; i < labels.size(); ++i) out[i * classes + static_cast<std::size_t>(labels[i])] = 1;
  return out;
}

Problem problem_of(Golden& golden, const NamedArrays& data) {
  if (golden.squared_error)
    golden.net.finish(golden.net.output, Layer::Kind::squared_error, {10});
  else
    golden.net.cross_entropy(golden.net.output);
  Problem p;
  p.net = &golden.net;
  p.theta = data["theta"];
  p.batch = static_cast<int>(data["y"].size());
  p.x = data["x"];
  p.t = golden.squared_error ? one_hot(data["y"], 10) : data["y"];
  return p;
}

class GoldenNets : public OnDevice {};

template <class T>
void check(Context& context, const Problem& p, const NamedArrays& data) {
  const double tolerance = std::is_same_v<T, double> ? 1e-10 : 5e-5;
  Runner<T> run(context, p, 17);
  EXPECT_TRUE(close({run.linearize()}, data["loss"], tolerance)) << "loss";
  EXPECT_TRUE(close(run.output(), data["logits"], tolerance)) << "logits";
  EXPECT_TRUE(close(run.gradient(), data["grad"], tolerance)) << "gradient";
  EXPECT_TRUE(close(run.product(Curvature::hessian, data["v"]), data["Hv"], tolerance)) << "H v";
  EXPECT_TRUE(close(run.dense(Curvature::hessian), data["H"], tolerance)) << "dense H";
  EXPECT_TRUE(close(run.dense(Curvature::ggn), data["GGN"], tolerance)) << "dense G";
  const Numbers h = run.dense_by_products(Curvature::hessian), g = run.dense_by_products(Curvature::ggn);
  EXPECT_TRUE(close(h, data["H"], tolerance)) << "H by products";
  EXPECT_TRUE(close(g, data["GGN"], tolerance)) << "G by products";
  const double asymmetric = std::is_same_v<T, double> ? 1e-12 : 1e-5;
  EXPECT_LT(asymmetry(h), asymmetric);
  EXPECT_LT(asymmetry(g), asymmetric);
}

TEST_P(GoldenNets, LossLogitsGradientProductsAndMatrices) {
  for (Golden golden : golden_nets()) {
    SCOPED_TRACE(golden.name);
    const NamedArrays data = arrays_of(golden);
    const Problem p = problem_of(golden, data);
    for_types([&]<class T>() { check<T>(context(), p, data); });
  }
}

/// All eigenvalues by the direct method and by Lanczos over the whole space, within 1e-9 of the largest.
TEST_P(GoldenNets, SpectraOfHessianAndGaussNewtonMatrix) {
  for (Golden golden : golden_nets()) {
    const NamedArrays data = arrays_of(golden);
    const Problem p = problem_of(golden, data);
    Runner<double> run(context(), p, 17);
    run.linearize();
    for (const auto& [kind, name] : {std::pair(Curvature::hessian, "eig_H"), std::pair(Curvature::ggn, "eig_GGN")}) {
      SCOPED_TRACE(golden.name + " " + name);
      const Numbers& known = data[name];
      DenseOperator<double> a(context(), run.n(), run.dense(kind));
      Buffer<double> matrix(context(), a.host());
      const EighResult direct = eigh(context(), matrix.view().reshaped({run.n(), run.n()}));
      ASSERT_TRUE(direct.ok());
      EXPECT_TRUE(close(direct.values, known, 1e-9));
      const auto all = lanczos(a, {.count = run.n(), .which = SpectrumEnd::both, .block = 4, .basis = run.n()});
      ASSERT_TRUE(all.all_converged()) << all.stop;
      EXPECT_TRUE(close(all.values, known, 1e-9));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, GoldenNets, testing::ValuesIn(contexts()), device_word);

}  // namespace
}  // namespace hso::test
