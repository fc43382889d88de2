// SPDX-License-Identifier: Apache-2.0
//
// Diagonal blocks of curvature, and the forms of HSO by blocks and by Cholesky.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "optim/hso/blocks.hpp"
#include "support/functions.hpp"
#include "support/messages.hpp"
#include "support/network_setting.hpp"
#include "support/objectives.hpp"

namespace hso::test {
namespace {

class HsoBlocks : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, HsoBlocks, testing::ValuesIn(contexts()), device_word);

/// Layers, single tensors, and ranges that cut through tensors, against the dense matrix.
TEST_P(HsoBlocks, AreTheBlocksOfTheMatrix) {
  Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 40);
  for (Index batch : {0, 16}) {  // one piece, and several
    auto f = s.objective({.batch = batch, .weight_decay = 0.01});
    for (Curvature kind : {Curvature::hessian, Curvature::ggn, Curvature::fisher_mc}) {
      const Numbers dense = s.dense(f, kind);
      const auto a = f.curvature(s.theta.data(), kind);
      for (const auto& [begin, b] : {std::pair<Index, Index>{0, 36}, {36, 21}, {30, 6}, {0, 57}, {3, 40}, {7, 1}}) {
        Buffer<double> block(context(), b * b);
        a->diagonal_block(begin, b, block.data());
        Numbers expected;
        for (Index i = 0; i < b; ++i)
          for (Index j = 0; j < b; ++j)
            expected.push_back(dense[static_cast<std::size_t>((begin + i) * 57 + begin + j)]);
        EXPECT_LE(worst(block.download(), expected), 1e-13) << name_of(kind) << " from " << begin << ", " << b;
      }
      EXPECT_THROW(a->diagonal_block(50, 8, nullptr), InputError);
    }
  }
}

TEST(HsoBlockNames, FollowTheLayersAndTheTensors) {
  using detail::theta_blocks;
  const std::vector<ParameterSlice> layout{
      {"a.weight", 0, Shape{2, 3}}, {"a.bias", 6, Shape{2}}, {"b.weight", 8, Shape{1, 2}}, {"scale", 10, Shape{}}};
  const auto layers = theta_blocks(layout, true), tensors = theta_blocks(layout, false);
  ASSERT_EQ(layers.size(), 3U);
  EXPECT_EQ(layers[0].name, "scale");
  EXPECT_EQ(layers[2].name, "a");
  EXPECT_EQ(layers[2].size, 8);
  ASSERT_EQ(tensors.size(), 4U);
  EXPECT_EQ(tensors[3].name, "a.weight");
  EXPECT_EQ(tensors[2].begin, 8);
  const auto tied = theta_blocks({{"a.weight", 0, Shape{4}}, {"b.weight", 2, Shape{4}}}, false);
  ASSERT_EQ(tied.size(), 1U);
  EXPECT_EQ(tied[0].size, 6);
}

/// theta_b -= (V' diag(1 / (|lambda| + delta)) V + eps_b I) g_b with the blocks of the dense Hessian, eps_b = eps_scale
/// over the block's largest |lambda|.
TEST_P(HsoBlocks, AStepIsTheFormulaOnEveryBlock) {
  Setting<double> s(context(), "mlp:5-6-3:tanh", LossKind::cross_entropy, 40);
  auto f = s.objective();
  const Numbers dense = s.dense(f, Curvature::hessian), start = s.theta.download();
  Buffer<double> gradient(context(), s.n());
  f.gradient(s.theta.data(), gradient.data());
  const Numbers g = gradient.download();
  const StepReport r =
      make_optimizer<double>("hso.block", {{"delta", "0.5"}, {"eps_scale", "0.2"}, {"rescale", "false"}})
          ->step(f, s.theta.data());
  ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
  const Numbers moved = s.theta.download();
  for (const auto& [begin, b] : {std::pair<std::size_t, std::size_t>{0, 36}, {36, 21}}) {
    Numbers block;
    for (std::size_t i = 0; i < b; ++i)
      for (std::size_t j = 0; j < b; ++j) block.push_back(dense[(begin + i) * 57 + begin + j]);
    Buffer<double> v(context(), block);
    const Index order = static_cast<Index>(b);
    const EighResult e = eigh(context(), v.view().reshaped({order, order}));
    const Numbers vectors = v.download();
    const double eps = 0.2 / std::max(-e.values.front(), e.values.back());
    for (std::size_t i = 0; i < b; ++i) {
      double expected = eps * g[begin + i];
      for (std::size_t p = 0; p < b; ++p) {
        double along = 0;
        for (std::size_t j = 0; j < b; ++j) along += vectors[p * b + j] * g[begin + j];
        expected += along / (std::abs(e.values[p]) + 0.5) * vectors[p * b + i];
      }
      EXPECT_NEAR(start[begin + i] - moved[begin + i], expected, 1e-11) << i;
    }
  }
}

TEST_P(HsoBlocks, TrainANetworkAndAllocateNothingAfterTheFirstStep) {
  for (const auto& [name, settings] : {std::pair<std::string, OptimizerSettings>{"hso.block", {}},
                                       {"hso.block", {{"blocks", "parameter"}, {"curvature", "ggn"}, {"refresh", "2"}}},
                                       {"hso.cholesky", {}},
                                       {"hso.cholesky", {{"curvature", "ggn"}}}}) {
    Setting<float> s(context(), "mlp:5-6-6-3:tanh", LossKind::cross_entropy, 60);
    auto f = s.objective({.weight_decay = 1e-3});
    const auto optimizer = make_optimizer<float>(name, settings);
    const double start = f.value(s.theta.data());
    double last = start;
    Index allocations = 0;
    for (int k = 0; k < 10; ++k) {
      const StepReport r = optimizer->step(f, s.theta.data());
      EXPECT_TRUE(r.status == StepStatus::accepted || r.status == StepStatus::rejected) << name << ": " << r.message;
      const double now = f.value(s.theta.data());
      EXPECT_LE(now, last) << name;
      last = now;
      if (k == 1) allocations = context().allocation_count();
    }
    EXPECT_LT(last, 0.6 * start) << name;
    EXPECT_EQ(context().allocation_count(), allocations) << name;
  }
}

/// An indefinite matrix: the shift is above -lambda_min, and the step solves the system with it.
TEST(HsoCholesky, ShiftsAnIndefiniteMatrixUntilItFactorises) {
  const auto cpu = Context::create("cpu");
  const Numbers a{1, 2, 2, 1};  // eigenvalues 3 and -1
  Smooth f(*cpu, 2, quadratic(a, {1, -2}));
  Numbers x{0.3, 0.1}, g(2);
  f.gradient(x.data(), g.data());
  const Numbers start = x;
  const StepReport r =
      make_optimizer<double>("hso.cholesky", {{"delta", "0"}, {"eps_scale", "0"}, {"eps", "0.01"}})->step(f, x.data());
  ASSERT_EQ(r.status, StepStatus::accepted) << r.message;
  double shift = 0;
  for (const auto& [key, value] : r.metrics)
    if (key == "shift") shift = std::get<double>(value);
  EXPECT_GT(shift, 1);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t j = 1 - i;
    const double solved = ((1 + shift) * g[i] - 2 * g[j]) / ((1 + shift) * (1 + shift) - 4);
    EXPECT_NEAR(start[i] - x[i], solved + 0.01 * g[i], 1e-12);
  }
}

TEST(HsoBlockErrors, NameTheBlockAndFormsThatFit) {
  const auto cpu = Context::create("cpu");
  EXPECT_TRUE(contains(message_of<UsageError>([] {
                         make_optimizer<double>("hso.block", {{"blocks", "row"}});
                       }),
                       "hso.block", "layer or parameter"));
  EXPECT_TRUE(contains(message_of<UsageError>([] {
                         make_optimizer<double>("hso.block", {{"block", "layer"}});
                       }),
                       "blocks"));
  EXPECT_THROW(make_optimizer<double>("hso.cholesky", {{"delta", "-1"}}), UsageError);
  const Index n = Index{1} << 20;
  Callback wide(*cpu, n, [n](const double*, double* g) {
    if (g != nullptr) std::fill(g, g + n, 1.0);
    return 1.0;
  });
  Numbers x(static_cast<std::size_t>(n));
  for (const char* name : {"hso.block", "hso.cholesky"})
    EXPECT_TRUE(contains(message_of<MemoryError>([&] { make_optimizer<double>(name)->step(wide, x.data()); }), name,
                         "hso.lowrank", "hso.cg", "n = 1048576"));
}

}  // namespace
}  // namespace hso::test
