// SPDX-License-Identifier: Apache-2.0
//
// Dropout: a mask that belongs to (seed, layer, training step, row), the identity outside training.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/network_setting.hpp"
#include "support/runner.hpp"

namespace hso::test {
namespace {

class Dropout : public OnDevice {};

/// Ones through two dropout layers side by side: the outputs are the masks.
template <class T>
Numbers masks(Context& context, bool training, std::uint64_t step, double p, std::uint64_t second_seed = 1) {
  Net net;
  const int x = net.input({500});
  net.output = net.sum(net.dropout(x, p, 1), net.reshape(net.dropout(net.reshape(x, {20, 25}), p, second_seed), {500}));
  net.finish_against(net.linear(net.output, net.parameter({500, 500})), Layer::Kind::squared_error, x);
  Problem problem;
  problem.net = &net;
  problem.batch = 4;
  problem.theta.resize(500 * 500);
  problem.x.assign(4 * 500, 1);
  Runner<T> run(context, problem, 1);
  run.tape.set_training(training, step);
  run.tape.forward(run.theta.data());
  return run.output();
}

TEST_P(Dropout, KeepsTheRightShareAndScalesIt) {
  for (double p : {0.1, 0.5, 0.75}) {
    const Numbers sum = masks<double>(context(), true, 3, p);  // 0, 1 or 2 times 1 / (1 - p)
    std::map<long, int> counts;
    for (double y : sum) ++counts[std::lround(y * (1 - p))];
    const auto total = static_cast<double>(sum.size());
    const double expected[] = {p * p, 2 * p * (1 - p), (1 - p) * (1 - p)};
    for (long k = 0; k < 3; ++k) {
      const double share = expected[k], five_sigma = 5 * std::sqrt(share * (1 - share) / total);
      EXPECT_NEAR(counts[k] / total, share, five_sigma) << k << " of two kept at p = " << p;
    }
    for (double y : sum) ASSERT_NEAR(y * (1 - p), std::round(y * (1 - p)), 1e-15);
  }
}

TEST_P(Dropout, TheMaskBelongsToTheStep) {
  const Numbers three = masks<double>(context(), true, 3, 0.5);
  EXPECT_EQ(masks<double>(context(), true, 3, 0.5), three);
  EXPECT_EQ(masks<float>(context(), true, 3, 0.5), three) << "both types see one mask";
  EXPECT_NE(masks<double>(context(), true, 4, 0.5), three);
  EXPECT_NE(masks<double>(context(), true, 3, 0.5, 2), three) << "another seed";
  EXPECT_EQ(masks<double>(context(), false, 3, 0.5), Numbers(three.size(), 2)) << "the identity in evaluation";
}

TEST_P(Dropout, EveryProductAtOnePointSeesTheSameMask) {
  Runner<double> run(context(), case_named("dropout_training"), 2);
  const Numbers v = random_numbers(static_cast<std::size_t>(run.n()), 1);
  const double loss = run.linearize();
  const Numbers before = run.product(Curvature::hessian, v);
  EXPECT_EQ(run.product(Curvature::hessian, v), before);
  run.tape.set_training(true, kStep + 1);
  EXPECT_EQ(run.product(Curvature::hessian, v), before) << "the point was set before the step moved";
  EXPECT_NE(run.linearize(), loss);
  EXPECT_FALSE(close(run.product(Curvature::hessian, v), before, 1e-3));
  run.tape.set_training(true, kStep);
  EXPECT_EQ(run.linearize(), loss);
  EXPECT_EQ(run.product(Curvature::hessian, v), before);
}

ModelSpec dropout_model() {
  return parse_model_toml(
      "input = [5]\n[[layer]]\ntype = 'dropout'\np = 0.2\n[[layer]]\ntype = 'linear'\nout = 6\n[[layer]]\ntype = "
      "'tanh'\n"
      "[[layer]]\ntype = 'dropout'\n[[layer]]\ntype = 'linear'\nout = 3\n",
      "test");
}

/// Gradient, product and loss over all rows, in pieces of `batch` rows.
struct Walk {
  double loss;
  Numbers gradient, hessian;
};
Walk walk(Setting<double>& s, Index batch, const std::function<void(NetworkObjective<double>&)>& choose) {
  auto f = s.objective({.batch = batch});
  f.set_training(true, 7);
  choose(f);
  Buffer<double> g(s.context, s.n());
  const double loss = f.gradient(s.theta.data(), g.data());
  return {loss, g.download(), s.dense(f, Curvature::hessian)};
}

/// What the rows give does not depend on the pieces in which they are walked, nor on their order.
TEST_P(Dropout, TheMaskFollowsTheRowOfTheData) {
  Setting<double> s(context(), dropout_model(), LossKind::cross_entropy, 50);
  const auto all = [](NetworkObjective<double>&) {};
  const Walk whole = walk(s, 0, all);
  for (Index batch : {1, 7, 25, 37}) {
    SCOPED_TRACE(batch);
    const Walk pieces = walk(s, batch, all);
    EXPECT_NEAR(pieces.loss, whole.loss, 1e-14);
    EXPECT_TRUE(close(pieces.gradient, whole.gradient, 1e-13));
    EXPECT_TRUE(close(pieces.hessian, whole.hessian, 1e-13));
  }
  std::vector<Index> backwards;
  for (Index i = 49; i >= 0; --i) backwards.push_back(i);
  EXPECT_TRUE(close(walk(s, 8, [&](auto& f) { f.select(backwards); }).gradient, whole.gradient, 1e-13));
}

/// A training batch cut from an order has the masks of its rows, selected one way or the other.
TEST_P(Dropout, BatchesOfAnOrderHaveTheMasksOfTheirRows) {
  Setting<double> s(context(), dropout_model(), LossKind::cross_entropy, 50);
  const std::vector<Index> order{41, 3, 17, 0, 8, 29, 30};
  const Walk cut = walk(s, 4, [&](auto& f) {
    f.set_order(order);
    f.select_from_order(2, 3, 7);
  });
  const std::vector<Index> rows{17, 0, 8};
  const Walk chosen = walk(s, 0, [&](auto& f) { f.select(rows); });
  EXPECT_NEAR(cut.loss, chosen.loss, 1e-14);
  EXPECT_TRUE(close(cut.gradient, chosen.gradient, 1e-13));
  EXPECT_TRUE(close(cut.hessian, chosen.hessian, 1e-13));
}

/// Outputs of rows that are alike differ by their masks alone.
TEST_P(Dropout, EveryRowHasItsOwnMask) {
  const Numbers sum = masks<double>(context(), true, 3, 0.5);
  for (std::size_t row = 1; row < 4; ++row)
    EXPECT_FALSE(std::equal(sum.begin(), sum.begin() + 500, sum.begin() + static_cast<std::ptrdiff_t>(500 * row)));
}

INSTANTIATE_TEST_SUITE_P(Devices, Dropout, testing::ValuesIn(contexts()), device_word);

}  // namespace
}  // namespace hso::test
