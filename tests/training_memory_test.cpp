// SPDX-License-Identifier: Apache-2.0
//
// What a training says it will take, against the allocator; and what an objective says it was asked for.
#include <gtest/gtest.h>

#include <algorithm>

#include "hsogpu/linalg/operators.hpp"
#include "hsogpu/train/train.hpp"
#include "support/network_setting.hpp"

namespace hso {
namespace {

constexpr Index kMiB = Index{1} << 20;

struct PlanCase {
  const char* optimizer;
  const char* model;
};
std::ostream& operator<<(std::ostream& out, const PlanCase& c) { return out << c.optimizer << " " << c.model; }

class TrainingPlan : public testing::TestWithParam<PlanCase> {};
INSTANTIATE_TEST_SUITE_P(
    Methods, TrainingPlan,
    testing::Values(PlanCase{"adam", "mlp:64-32-10:tanh"}, PlanCase{"adam", "mlp:64-1000-400-10:tanh"},
                    PlanCase{"hso.lowrank", "mlp:64-32-10:tanh"}, PlanCase{"hso.lowrank", "mlp:64-400-100-10:tanh"},
                    PlanCase{"hso.cg", "mlp:64-32-10:tanh"}, PlanCase{"hso.cg", "mlp:64-1000-400-10:tanh"},
                    PlanCase{"hso.kfac", "mlp:64-32-10:tanh"}, PlanCase{"hso.kfac", "mlp:64-1000-10:tanh"},
                    PlanCase{"hso", "mlp:64-8-10:tanh"}));

TEST_P(TrainingPlan, IsNoLessThanTheHighWaterMarkAndLittleMore) {
  TrainOptions options;
  options.device = "cpu";
  options.optimizer = GetParam().optimizer;
  options.model = GetParam().model;
  if (options.optimizer == "hso.lowrank") options.optimizer_settings = {{"rank", "4"}};
  if (options.optimizer == "hso.cg") options.optimizer_settings = {{"iterations", "3"}};
  options.steps = 2;  // the second makes pairs or factors while the first ones are there
  Index planned = 0;
  TrainHooks hooks;
  hooks.on_plan = [&](const MemoryPlan& plan) {
    planned = plan.device_bytes;
    EXPECT_GE(plan.host_bytes, plan.device_bytes) << "the CPU's memory is the host's";
  };
  const TrainResult result = train(options, hooks);
  const Index mark = result.peak_bytes;
  EXPECT_EQ(result.planned_bytes, planned);
  EXPECT_LE(mark, planned);
  EXPECT_LE(planned, std::max(mark + 32 * kMiB, mark + mark / 10));
}

TEST(TrainingPlan, GrowsWithTheRankTimesTheParameters) {
  const auto bytes = [](const char* rank, Index n, const char* start = "gradient") {
    const OptimizerSettings settings{{"rank", rank}, {"start", start}};
    return make_optimizer<float>("hso.lowrank", settings)->bytes(*Context::create("cpu"), {n});
  };
  constexpr Index n = 100000, vector = 4 * n;
  // What more n costs: coefficients of the basis do not depend on it.
  const auto slope = [&](const char* rank, const char* start = "gradient") {
    return bytes(rank, 2 * n, start) - bytes(rank, n, start);
  };
  EXPECT_EQ(slope("100") - slope("80"), 20 * vector);                          // a basis of rank vectors
  EXPECT_EQ(slope("100", "random") - slope("80", "random"), 4 * 20 * vector);  // of 4 rank + 20
  EXPECT_NEAR(static_cast<double>(bytes("100", 2 * n)), 2.0 * static_cast<double>(bytes("100", n)), 16.0 * kMiB);
}

class Asked : public test::OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Asked, testing::ValuesIn(test::contexts()), test::device_word);

TEST_P(Asked, EverythingCountsInGradientsOfAllRows) {
  test::Setting<double> s(context(), "mlp:3-4-3:tanh", LossKind::cross_entropy, 12);
  Buffer<double> g(context(), s.n()), v(context(), 2 * s.n()), hv(context(), 2 * s.n());
  context().ops<double>().fill(2 * s.n(), 1.0, v.data());
  for (const Index batch : {Index{0}, Index{5}}) {
    auto f = s.objective({.batch = batch, .lanes = 2});
    double before = 0;
    const auto asked = [&] {
      const double now = f.gradient_equivalents(), since = now - before;
      before = now;
      return since;
    };
    const auto apply = [&](LinearOperator<double>& a, Index lanes) {
      a.apply(vector_view<const double>(v.data(), s.n(), lanes), vector_view(hv.data(), s.n(), lanes));
    };
    const bool pieces = batch > 0;  // every call walks them again
    f.value(s.theta.data());
    EXPECT_NEAR(asked(), 1.0 / 3, 1e-12);
    f.gradient(s.theta.data(), g.data());
    EXPECT_NEAR(asked(), 1, 1e-12);
    f.evaluate(s.theta.data());
    EXPECT_EQ(asked(), 0);
    const auto h = f.linearize(s.theta.data(), g.data(), Curvature::hessian).curvature;
    EXPECT_NEAR(asked(), 1, 1e-12);
    apply(*h, 2);
    EXPECT_NEAR(asked(), 4 + (pieces ? 2.0 / 3 : 0), 1e-12);
    const auto a = f.curvature(s.theta.data(), Curvature::ggn);
    EXPECT_EQ(asked(), 0);
    apply(*a, 1);
    EXPECT_NEAR(asked(), 1.0 / 3 + 4.0 / 3, 1e-12);
    apply(*a, 1);
    EXPECT_NEAR(asked(), 4.0 / 3 + (pieces ? 1.0 / 3 : 0), 1e-12);
    f.kronecker(s.theta.data());
    EXPECT_NEAR(asked(), 1.0 / 3 + 3 * 2.0 / 3, 1e-12);  // one sweep for each of three outputs
    const std::vector<Index> half{0, 1, 2, 3, 4, 5};
    f.select(half);
    f.gradient(s.theta.data(), g.data());
    EXPECT_NEAR(asked(), 0.5, 1e-12);
  }
}

}  // namespace
}  // namespace hso
