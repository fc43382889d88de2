// SPDX-License-Identifier: Apache-2.0
//
// Kronecker factors, their eigenvalue correction and exact diagonals against dense Gauss-Newton and Fisher matrices.
#include "hsogpu/objective/kronecker.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

class Kronecker : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Kronecker, testing::ValuesIn(contexts()), device_word);

constexpr LossKind kLosses[] = {LossKind::cross_entropy, LossKind::squared_error, LossKind::bce};

template <class T>
constexpr double kRounding = sizeof(T) == 8 ? 1e-12 : 2e-4;

/// Groups, padding, strides, a layer without bias: 6x5 images of two channels, three outputs.
const char* const kConvolutions = R"(
input = [2, 6, 5]
[[layer]]
type = "conv2d"
out = 4
kernel = [3, 2]
padding = 1
groups = 2
[[layer]]
type = "tanh"
[[layer]]
type = "conv2d"
out = 3
kernel = 2
stride = 2
bias = false
[[layer]]
type = "tanh"
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
out = 3
)";
ModelSpec convolutions() { return parse_model_toml(kConvolutions, "convolutions.toml"); }

/// The kernel covers the image: one position.
ModelSpec one_position() {
  return parse_model_toml(R"(
input = [4, 2, 2]
[[layer]]
type = "conv2d"
out = 6
kernel = 2
groups = 2
[[layer]]
type = "flatten"
[[layer]]
type = "tanh"
[[layer]]
type = "linear"
out = 3
)",
                          "one_position.toml");
}

/// Products of states over steps in both directions, and channels that are scaled one by one.
ModelSpec sequences() {
  return parse_model_toml(R"(
name = "sequences"
input = [3, 2]
[[layer]]
type = "gru"
hidden = 2
bidirectional = true
[[layer]]
type = "layernorm"
[[layer]]
type = "lstm"
hidden = 2
last = true
[[layer]]
type = "groupnorm"
groups = 1
[[layer]]
type = "linear"
out = 3
)",
                          "sequences.toml");
}

std::size_t at(Index i, Index j, Index n) { return static_cast<std::size_t>(i * n + j); }

/// Where two entries of theta belong to one block; everything else set to zero.
template <class T>
Numbers block_diagonal_of(const Setting<T>& s, const Numbers& full, Index groups_of_first = 1) {
  std::vector<Index> block;
  for (const ParameterInfo& p : s.network.parameters)
    for (Index i = 0; i < p.shape.size(); ++i) {
      const Index groups = p.layer == 0 ? groups_of_first : 1;
      block.push_back(100 * p.layer + i * groups / p.shape.size());
    }
  Numbers out(full.size());
  const Index n = static_cast<Index>(block.size());
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      if (block[static_cast<std::size_t>(i)] == block[static_cast<std::size_t>(j)])
        out[at(i, j, n)] = full[at(i, j, n)];
  return out;
}

TEST_P(Kronecker, OneLinearLayerAndOneSampleAreExact) {
  for (LossKind loss : kLosses)
    for_types([&]<class T>() {
      Setting<T> s(context(), "mlp:5-3", loss, 1);
      auto f = s.objective();
      const Numbers ggn = s.dense(f, Curvature::ggn);
      EXPECT_LE(worst(s.dense(f, Curvature::kfac), ggn), kRounding<T>) << name_of(loss);
      EXPECT_LE(worst(s.dense(f, Curvature::ekfac), ggn), kRounding<T>) << name_of(loss);
    });
}

/// Every layer's block of a deeper network is exact at one sample and one position, for every source.
TEST_P(Kronecker, OneSampleMakesEveryBlockExact) {
  for (const ModelSpec& model : {parse_model("mlp:5-4-6-3:tanh"), one_position()})
    for (Curvature source : {Curvature::ggn, Curvature::fisher_mc, Curvature::fisher_empirical})
      for_types([&]<class T>() {
        SCOPED_TRACE(model.name + " " + name_of(source));
        Setting<T> s(context(), model, LossKind::cross_entropy, 1);
        auto f = s.objective({.lanes = 2, .fisher_seed = 4, .factors = source});
        const Numbers blocks = block_diagonal_of(s, s.dense(f, source), model.name == "one_position" ? 2 : 1);
        EXPECT_LE(worst(s.dense(f, Curvature::kfac), blocks), kRounding<T>);
        EXPECT_LE(worst(s.dense(f, Curvature::ekfac), blocks), kRounding<T>);
      });
}

/// With N samples the factors are the means of the single samples' factors. Those are read from single samples' exact
/// Gauss-Newton matrices: the bias' block is B_n, and a weight block over B_n[0][0] is A_n.
TEST_P(Kronecker, FactorsAreMeansOverSamples) {
  const Index inputs = 5, outputs = 3, rows = 7, n = outputs * inputs + outputs;
  Setting<double> s(context(), "mlp:5-3", LossKind::bce, rows);
  auto f = s.objective({.batch = 3, .lanes = 2});  // three pieces, the last one ragged
  Numbers a(36), b(9);
  for (Index row = 0; row < rows; ++row) {
    f.select(std::vector<Index>{row});
    const Numbers g = s.dense(f, Curvature::ggn);
    for (Index o = 0; o < outputs; ++o)
      for (Index p = 0; p < outputs; ++p) b[at(o, p, 3)] += g[at(n - 3 + o, n - 3 + p, n)] / rows;
    const double b00 = g[at(n - 3, n - 3, n)];
    for (Index i = 0; i < 6; ++i)
      for (Index j = 0; j < 6; ++j)
        a[at(i, j, 6)] += g[at(i < inputs ? i : n - 3, j < inputs ? j : n - 3, n)] / b00 / rows;
  }
  f.select_all();
  const auto k = f.kronecker(s.theta.data());
  ASSERT_EQ(k->blocks().size(), 1u);
  EXPECT_EQ(k->blocks()[0].weight, "0.weight");
  EXPECT_EQ(k->blocks()[0].inputs, 6);
  EXPECT_LE(worst(k->input_factor(0), a), 1e-13);
  EXPECT_LE(worst(k->output_factor(0), b), 1e-13);
}

/// A convolution alone under squared error: A is the mean over samples of the sum over positions of patches times
/// patches, and B the identity, since every output is its own adjoint once.
TEST_P(Kronecker, ConvolutionFactorsAreSumsOverPatches) {
  const ModelSpec model = parse_model_toml(
      "input = [1, 4, 3]\n[[layer]]\ntype = \"conv2d\"\nout = 2\nkernel = 2\n[[layer]]\ntype = \"flatten\"\n",
      "one.toml");
  const Index rows = 5;
  Setting<double> s(context(), model, LossKind::squared_error, rows);
  auto f = s.objective();
  Numbers a(25);
  for (Index r = 0; r < rows; ++r)
    for (Index y = 0; y < 3; ++y)
      for (Index x = 0; x < 2; ++x) {
        const auto pixel = [&](Index dy, Index dx) {
          return s.inputs.inputs[static_cast<std::size_t>(12 * r + 3 * (y + dy) + x + dx)];
        };
        const Numbers patch{pixel(0, 0), pixel(0, 1), pixel(1, 0), pixel(1, 1), 1};
        for (Index i = 0; i < 5; ++i)
          for (Index j = 0; j < 5; ++j)
            a[at(i, j, 5)] += patch[static_cast<std::size_t>(i)] * patch[static_cast<std::size_t>(j)] / rows;
      }
  const auto k = f.kronecker(s.theta.data());
  EXPECT_LE(worst(k->input_factor(0), a), 1e-13);
  EXPECT_LE(worst(k->output_factor(0), {1, 0, 0, 1}), 1e-13);
}

TEST_P(Kronecker, ExactDiagonals) {
  for (const ModelSpec& model : {parse_model("mlp:5-4-6-3:tanh"), convolutions(), sequences()})
    for (LossKind loss : kLosses)
      for (Curvature source : {Curvature::ggn, Curvature::fisher_mc, Curvature::fisher_empirical})
        for_types([&]<class T>() {
          SCOPED_TRACE(model.name + " " + name_of(loss) + " " + name_of(source));
          Setting<T> s(context(), model, loss, 6);
          auto f = s.objective({.batch = 4, .lanes = 2, .weight_decay = 0.1, .fisher_draws = 3, .factors = source});
          const Numbers full = s.dense(f, source), d = s.dense(f, Curvature::diagonal);
          Numbers expected(full.size());
          for (Index i = 0; i < s.n(); ++i) expected[at(i, i, s.n())] = full[at(i, i, s.n())];
          EXPECT_LE(worst(d, expected), kRounding<T>);
        });
}

/// In its eigenbasis EKFAC is the diagonal of the block: the trace is exact, and the rest is orthogonal to it, so that
/// no choice of eigenvalues, K-FAC's among them, is nearer.
TEST_P(Kronecker, TheCorrectionIsTheNearestDiagonalInItsBasis) {
  for (const ModelSpec& model : {parse_model("mlp:5-4-6-3:tanh"), convolutions()}) {
    SCOPED_TRACE(model.name);
    Setting<double> s(context(), model, LossKind::cross_entropy, 9);
    auto f = s.objective();
    const Numbers blocks = block_diagonal_of(s, s.dense(f, Curvature::ggn), model.name == "convolutions" ? 2 : 1);
    const Numbers e = s.dense(f, Curvature::ekfac), k = s.dense(f, Curvature::kfac);
    double trace = 0, expected = 0, inner = 0, size = 0, rest = 0, rest_of_kfac = 0;
    for (Index i = 0; i < s.n(); ++i) {
      trace += e[at(i, i, s.n())];
      expected += blocks[at(i, i, s.n())];
    }
    for (std::size_t i = 0; i < e.size(); ++i) {
      inner += e[i] * (blocks[i] - e[i]);
      size += e[i] * e[i];
      rest += (blocks[i] - e[i]) * (blocks[i] - e[i]);
      rest_of_kfac += (blocks[i] - k[i]) * (blocks[i] - k[i]);
    }
    EXPECT_NEAR(trace, expected, 1e-12 * expected);
    EXPECT_LE(std::abs(inner), 1e-12 * size);
    EXPECT_LT(rest, rest_of_kfac);
    const auto values = f.kronecker(s.theta.data(), {.corrected = true})->eigenvalues();
    EXPECT_NEAR(std::accumulate(values.begin(), values.end(), 0.0), expected, 1e-12 * expected);
  }
}

TEST_P(Kronecker, FactorsAddUpOverBatchesAndDecayShiftsThem) {
  Setting<double> s(context(), convolutions(), LossKind::cross_entropy, 10);
  auto whole = s.objective(), pieces = s.objective({.batch = 3, .lanes = 2}),
       decayed = s.objective({.weight_decay = 0.5});
  for (Curvature kind : {Curvature::hessian, Curvature::ggn, Curvature::kfac, Curvature::ekfac, Curvature::diagonal}) {
    SCOPED_TRACE(name_of(kind));
    Numbers expected = s.dense(whole, kind);
    EXPECT_LE(worst(s.dense(pieces, kind), expected), 1e-11);
    for (Index i = 0; i < s.n(); ++i) expected[at(i, i, s.n())] += 0.5;
    EXPECT_LE(worst(s.dense(decayed, kind), expected), 1e-11);
    EXPECT_NO_THROW(require_consistent(*pieces.curvature(s.theta.data(), kind)));
  }
}

TEST_P(Kronecker, InversesInvert) {
  for (bool corrected : {false, true})
    for_types([&]<class T>() {
      Setting<T> s(context(), convolutions(), LossKind::cross_entropy, 12);
      auto f = s.objective({.weight_decay = 0.01});
      const auto k = f.kronecker(s.theta.data(), {.corrected = corrected});
      const auto inverse = k->inverse(0.1);
      const Index n = s.n(), lanes = 3;
      Buffer<T> v(context(), Span<const T>(narrow<T>(random_numbers(static_cast<std::size_t>(lanes * n), 5))));
      Buffer<T> kv(context(), lanes * n), back(context(), lanes * n);
      AffineOperator<T> damped(*k, 1.0, 0.1);
      damped.apply(vector_view<const T>(v.data(), n, lanes), vector_view(kv.data(), n, lanes));
      inverse->apply(vector_view<const T>(kv.data(), n, lanes), vector_view(back.data(), n, lanes));
      EXPECT_LE(worst(widen(back.download()), widen(v.download())), 100 * kRounding<T>);
      EXPECT_THROW(k->inverse(-0.01), UsageError);
    });
}

/// At theta = 0 softmax regression gives every sample the same output factor, so K-FAC is the Gauss-Newton matrix for
/// any number of samples, and its inverse the perfect preconditioner.
TEST_P(Kronecker, APerfectPreconditionerNeedsOneStep) {
  Setting<double> s(context(), "mlp:5-3", LossKind::cross_entropy, 40);
  context().ops<double>().fill(s.n(), 0, s.theta.data());
  auto f = s.objective();
  EXPECT_LE(worst(s.dense(f, Curvature::kfac), s.dense(f, Curvature::ggn)), 1e-13);
  const auto g = f.curvature(s.theta.data(), Curvature::ggn);
  const double delta = 1e-5;
  AffineOperator<double> damped(*g, 1.0, delta);
  const auto k = f.kronecker(s.theta.data());
  const auto inverse = k->inverse(delta);
  Buffer<double> b(context(), random_numbers(static_cast<std::size_t>(s.n()), 3)), x(context(), s.n());
  const auto solve = [&](LinearOperator<double>* m) {
    return cg<double>(damped, b.view(), x.view(), {.tolerance = 1e-8, .preconditioner = m}).lanes[0];
  };
  const KrylovLane plain = solve(nullptr), preconditioned = solve(inverse.get());
  EXPECT_EQ(preconditioned.status, KrylovStatus::converged);
  EXPECT_LE(preconditioned.iterations, 2);
  EXPECT_GE(plain.iterations, 5);
}

TEST_P(Kronecker, WhatHasNoFactorsIsRefused) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 4);
  auto f = s.objective();
  EXPECT_TRUE(contains(message_of<UsageError>([&] { f.kronecker(s.theta.data(), {.source = Curvature::hessian}); }),
                       "kfac", "hessian", "expected ggn, fisher_mc or fisher_empirical"));
  auto h = s.objective({.factors = Curvature::secant});
  EXPECT_THROW(h.curvature(s.theta.data(), Curvature::diagonal), UsageError);

  Network<double> twice;  // one weight, two layers
  Graph<double>& g = twice.graph;
  const Node x = g.input({3}), t = g.target({3}), w = g.parameter("w", {3, 3});
  g.set_output(linear(g, linear(g, x, w), w));
  g.set_loss(squared_error(g, g.output_node(), t));
  twice.input = twice.output = Shape{3};
  twice.loss = LossKind::squared_error;
  const Dataset d = Setting<double>::dataset(Shape{3}, 3, LossKind::squared_error, 4, 1);
  const DeviceData<double> data(context(), twice, d);
  NetworkObjective<double> tied(context(), twice, data);
  Graph<double> dead;  // a layer that the loss does not see has a zero block
  {
    const Node in = dead.input({3}), target = dead.target({2}), a = dead.parameter("a", {2, 3}),
               u = dead.parameter("u", {2, 3});
    dead.set_output(linear(dead, in, a));
    linear(dead, in, u);
    dead.set_loss(squared_error(dead, dead.output_node(), target));
  }
  Network<double> half{std::move(dead), {}, Shape{3}, Shape{2}, LossKind::squared_error};
  const Dataset pairs = Setting<double>::dataset(Shape{3}, 2, LossKind::squared_error, 4, 1);
  const DeviceData<double> pair_data(context(), half, pairs);
  NetworkObjective<double> partly(context(), half, pair_data);
  const Buffer<double> twelve(context(), Numbers(12, 0.5));
  Buffer<double> matrix(context(), 144);
  partly.kronecker(twelve.data())->to_dense(matrix.data());
  EXPECT_GT(matrix.download()[0], 0);
  for (Index i = 6; i < 12; ++i) EXPECT_EQ(matrix.download()[at(i, i, 12)], 0);

  Buffer<double> theta(context(), Numbers(9, 0.5));
  EXPECT_TRUE(contains(message_of<UsageError>([&] { tied.kronecker(theta.data()); }), "parameter 'w'", "2 products"));
}

/// Operators of one objective used in turn, at different points and with drawn targets in between.
TEST_P(Kronecker, OperatorsDoNotDisturbEachOther) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 9);
  auto f = s.objective({.fisher_draws = 2});
  Numbers moved = s.theta.download();
  for (double& x : moved) x += 0.3;
  const Buffer<double> other(context(), moved);
  Buffer<double> g(context(), s.n());
  const Numbers h0 = s.dense(f, Curvature::hessian), e0 = s.dense(f, Curvature::fisher_empirical);
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  const auto e = f.curvature(s.theta.data(), Curvature::fisher_empirical);
  const auto dense = [&](LinearOperator<double>& a) {
    Buffer<double> out(context(), s.n() * s.n());
    a.to_dense(out.data());
    return out.download();
  };
  for (int round = 0; round < 2; ++round) {
    f.kronecker(other.data(), {.source = Curvature::fisher_mc});
    EXPECT_EQ(dense(*h), h0);
    f.gradient(other.data(), g.data());
    EXPECT_EQ(dense(*e), e0);
    EXPECT_EQ(dense(*h), h0);
  }
}

/// linear over [positions, features]: every row of a sample is a position; lanes that lie on each other.
TEST_P(Kronecker, LinearLayersOfManyPositions) {
  const ModelSpec model = parse_model_toml(
      "input = [4, 3]\n[[layer]]\ntype = \"linear\"\nout = 2\n[[layer]]\ntype = \"tanh\"\n[[layer]]\ntype = "
      "\"flatten\"\n[[layer]]\ntype = \"linear\"\nout = 3\n",
      "positions.toml");
  Setting<double> s(context(), model, LossKind::cross_entropy, 6);
  auto f = s.objective({.batch = 4, .lanes = 2});
  const Numbers ggn = s.dense(f, Curvature::ggn), d = s.dense(f, Curvature::diagonal), e = s.dense(f, Curvature::ekfac);
  double trace = 0, expected = 0;
  for (Index i = 0; i < s.n(); ++i) {
    EXPECT_NEAR(d[at(i, i, s.n())], ggn[at(i, i, s.n())], 1e-14);
    trace += e[at(i, i, s.n())];
    expected += ggn[at(i, i, s.n())];
  }
  EXPECT_NEAR(trace, expected, 1e-12);
  const auto k = f.kronecker(s.theta.data());
  EXPECT_EQ(k->blocks()[0].inputs, 4);
  const Buffer<double> v(context(), random_numbers(static_cast<std::size_t>(s.n()), 2));
  Buffer<double> one(context(), s.n()), three(context(), 3 * s.n());
  k->apply(v.view(), one.view());
  k->apply({v.data(), Shape{s.n()}, 3, 0}, vector_view(three.data(), s.n(), 3));
  for (Index i = 0; i < 3 * s.n(); ++i)
    EXPECT_NEAR(three.download()[static_cast<std::size_t>(i)], one.download()[static_cast<std::size_t>(i % s.n())],
                1e-14);
}

TEST_P(Kronecker, AFactorThatIsNotFiniteIsNamedEveryTime) {
  Setting<double> s(context(), "mlp:5-4-3:tanh", LossKind::cross_entropy, 4);
  auto f = s.objective();
  context().ops<double>().fill(1, std::numeric_limits<double>::quiet_NaN(),
                               s.theta.data() + 30);  // of the second layer
  const auto k = f.kronecker(s.theta.data());
  for (int round = 0; round < 2; ++round)
    EXPECT_TRUE(contains(message_of<NumericalError>([&] { k->eigenvalues(); }), "factor of '", "weight'"));
  EXPECT_THROW(k->input_factor(-1), UsageError);
}

}  // namespace
}  // namespace hso::test
