// SPDX-License-Identifier: Apache-2.0
//
// Kronecker factors and exact diagonals of networks over tokens: tables of rows, attention, a class for each step.
#include <gtest/gtest.h>

#include <cmath>

#include "hsogpu/linalg/dense.hpp"
#include "support/contexts.hpp"
#include "support/dense_operator.hpp"
#include "support/network_setting.hpp"
#include "support/shrink_models.hpp"

namespace hso::test {
namespace {

class KroneckerSequences : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, KroneckerSequences, testing::ValuesIn(contexts()), device_word);

constexpr Index kTokens = 4;

ModelSpec language() {
  return model_of("[3]", {"embedding count = 4, out = 2", "positions",
                          "transformer heads = 2, hidden = 3, causal = true", "layernorm", "linear out = 3"});
}
/// One step, so that nothing is summed over steps.
ModelSpec one_step() { return model_of("[1]", {"embedding count = 4, out = 3", "positions", "linear out = 3"}); }

/// `model` on rows of random tokens with a class for each step, -1 for some where there are many.
template <class T>
struct Tokens {
  Tokens(Context& c, const ModelSpec& model, Index rows)
      : network(build_network<T>(model, LossKind::cross_entropy)), data(c, network, samples(model, rows)) {
    theta = Buffer<T>(
        c, Span<const T>(narrow<T>(random_numbers(static_cast<std::size_t>(network.graph.parameter_count()), 3))));
  }
  static Dataset samples(const ModelSpec& model, Index rows) {
    Dataset d;
    d.name = "tokens";
    d.size = rows;
    d.input_shape = d.target_shape = model.input;
    d.classes = 3;
    const auto count = static_cast<std::size_t>(rows * model.input.size());
    for (const double x : random_numbers(count, 1))
      d.inputs.push_back(std::floor(std::fmod(100 * std::abs(x), kTokens)));
    for (const double x : random_numbers(count, 2)) d.targets.push_back(std::floor(std::fmod(100 * std::abs(x), 3)));
    for (std::size_t i = 1; model.input.size() > 1 && i < count; i += 4) d.targets[i] = -1;
    return d;
  }
  Index n() const { return theta.size(); }
  Numbers dense(Objective<T>& f, Curvature kind) {
    Buffer<T> h(f.context(), n() * n());
    f.curvature(theta.data(), kind)->to_dense(h.data());
    return widen(h.download());
  }

  Network<T> network;
  DeviceData<T> data;
  Buffer<T> theta;
};

Numbers diagonal_of(const Numbers& matrix) {
  const auto n = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(matrix.size()))));
  Numbers out(matrix.size());
  for (std::size_t i = 0; i < n; ++i) out[i * n + i] = matrix[i * n + i];
  return out;
}

TEST_P(KroneckerSequences, ExactDiagonals) {
  for (Curvature source : {Curvature::ggn, Curvature::fisher_mc, Curvature::fisher_empirical})
    for_types([&]<class T>() {
      SCOPED_TRACE(name_of(source));
      Tokens<T> s(context(), language(), 5);
      NetworkObjective<T> f(context(), s.network, s.data,
                            {.batch = 3, .lanes = 2, .fisher_draws = 2, .factors = source});
      EXPECT_LE(worst(s.dense(f, Curvature::diagonal), diagonal_of(s.dense(f, source))), sizeof(T) == 8 ? 1e-12 : 2e-4);
    });
}

/// In its eigenbasis EKFAC is the diagonal of the block: its trace is that of the blocks, which is that of the matrix.
TEST_P(KroneckerSequences, TheCorrectionKeepsTheTrace) {
  Tokens<double> s(context(), language(), 5);
  NetworkObjective<double> f(context(), s.network, s.data);
  double trace = 0, expected = 0;
  for (const double x : diagonal_of(s.dense(f, Curvature::ekfac))) trace += x;
  for (const double x : diagonal_of(s.dense(f, Curvature::ggn))) expected += x;
  EXPECT_NEAR(trace, expected, 1e-12 * expected);
}

/// With one sample and one step every block is a product of its factors, tables of rows among them.
TEST_P(KroneckerSequences, OneSampleAndOneStepMakeEveryBlockExact) {
  for (Curvature kind : {Curvature::kfac, Curvature::ekfac}) {
    SCOPED_TRACE(name_of(kind));
    Tokens<double> s(context(), one_step(), 1);
    NetworkObjective<double> f(context(), s.network, s.data);
    const Numbers full = s.dense(f, Curvature::ggn);
    Numbers blocks(full.size());
    for (const ParameterInfo& p : s.network.parameters)
      for (const ParameterInfo& q : s.network.parameters)
        if (p.layer == q.layer)
          for (Index i = p.offset; i < p.offset + p.shape.size(); ++i)
            for (Index j = q.offset; j < q.offset + q.shape.size(); ++j)
              blocks[static_cast<std::size_t>(i * s.n() + j)] = full[static_cast<std::size_t>(i * s.n() + j)];
    EXPECT_LE(worst(s.dense(f, kind), blocks), 1e-12);
  }
}

/// The mean of the Monte Carlo Fisher matrix over draws is the Gauss-Newton matrix, for a loss that is a mean over
/// steps too: its trace lies within five of its standard errors, which are 4 % here.
TEST_P(KroneckerSequences, DrawnTargetsHaveTheGaussNewtonMatrixAsMean) {
  Tokens<double> s(context(), model_of("[3]", {"embedding count = 4, out = 2", "linear out = 3"}), 6);
  NetworkObjective<double> f(context(), s.network, s.data);
  double expected = 0, sum = 0, squares = 0;
  for (const double x : diagonal_of(s.dense(f, Curvature::ggn))) expected += x;
  constexpr int kSeeds = 40;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    NetworkObjective<double> drawn(context(), s.network, s.data, {.fisher_seed = seed, .fisher_draws = 4});
    double trace = 0;
    for (const double x : diagonal_of(s.dense(drawn, Curvature::fisher_mc))) trace += x;
    sum += trace / kSeeds;
    squares += trace * trace / kSeeds;
  }
  const double error = std::sqrt((squares - sum * sum) / kSeeds);
  EXPECT_LT(error, 0.06 * expected);
  EXPECT_NEAR(sum, expected, 5 * error);
}

}  // namespace
}  // namespace hso::test
