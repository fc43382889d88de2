// SPDX-License-Identifier: Apache-2.0
//
// What a step of the methods that judge their steps costs the host, counted on the emulated device: it waits for
// decisions, and what it finds is what a CPU finds.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <variant>

#include "emulated.hpp"
#include "hsogpu/optim/optimizer.hpp"
#include "hsogpu/optim/wrappers.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

struct Method {
  const char* name;
  OptimizerSettings settings;
  double tolerance = 1e-8;  ///< of losses: five steps amplify rounding, and half of the digits is what is asked
};

std::int64_t metric(const StepReport& report, const std::string& name, std::int64_t otherwise) {
  for (const auto& [key, number] : report.metrics)
    if (key == name) return std::get<std::int64_t>(number);
  return otherwise;
}

/// A solve that takes longer than the last one is looked at more often, and backtracking through its iterates or
/// halving needs a value each.
TEST(EmulatedJudgedSteps, WaitFourTimesAndTwiceMoreForATrial) {
  const Method methods[] = {{"hso.kfac", {}},
                            {"hso.kfac", {{"judged", "false"}}},
                            {"hso.kfac", {{"damping", "joint"}}},
                            {"hso.cg", {}},
                            {"hso.lowrank", {}},
                            {"lbfgs", {}}};
  for (const Method& m : methods) {
    SCOPED_TRACE(m.name);
    const auto context = Context::create("cuda");
    Setting<float> s(*context, "mlp:64-64-10", LossKind::cross_entropy, 40);
    auto f = s.objective();
    const auto optimizer = make_optimizer<float>(m.name, m.settings);
    std::int64_t products = std::numeric_limits<std::int64_t>::max();
    for (int i = 0; i < 8; ++i) {
      emulated::reset_ledger();
      const StepReport report = optimizer->step(f, s.theta.data());
      ASSERT_EQ(report.status, StepStatus::accepted) << report.message;
      const std::int64_t trials = report.trials, longer = std::max<std::int64_t>(0, report.products - products) / 4;
      const std::int64_t values = std::max<std::int64_t>(0, metric(report, "evaluations", 0) - 2 * trials);
      products = report.products;
      if (i == 0) continue;  // nothing says yet how long a solve takes
      EXPECT_LE(emulated::ledger().waits, 4 + 2 * (trials - 1) + longer + values) << "step " << i;
    }
  }
}

/// The eigenvalues of a wide layer's factors are 600 + 601 numbers, their products 1.4 MB: more than is staged at once.
/// Those of a deep network are more uploads than there are places to stage them.
TEST(EmulatedJudgedSteps, WaitNoMoreForAWideLayerOrForManyLayers) {
  for (const char* model : {"mlp:600-600-10", "mlp:8-8-8-8-8-8-8-8-8-10"}) {
    const auto context = Context::create("cuda");
    Setting<float> s(*context, model, LossKind::cross_entropy, 40);
    auto f = s.objective();
    const auto optimizer = make_optimizer<float>("hso.kfac", {{"damping", "joint"}});
    for (int i = 0; i < 2; ++i) {
      emulated::reset_ledger();
      const StepReport report = optimizer->step(f, s.theta.data());
      ASSERT_EQ(report.status, StepStatus::accepted) << model << ": " << report.message;
      if (i > 0) {
        EXPECT_LE(emulated::ledger().waits, 4 + 2 * (report.trials - 1)) << model;
      }
    }
  }
}

/// Of a line search that must look at several lengths.
TEST(EmulatedJudgedSteps, WaitOnceForALengthOfALineSearch) {
  const auto context = Context::create("cuda");
  Setting<double> s(*context, "mlp:5-8-7-3:tanh", LossKind::cross_entropy, 20);
  auto f = s.objective();
  const auto optimizer = make_optimizer<double>("lbfgs", {{"curvature", "0.01"}, {"decrease", "0.001"}});
  std::int64_t most = 0;
  for (int i = 0; i < 8; ++i) {
    emulated::reset_ledger();
    const StepReport report = optimizer->step(f, s.theta.data());
    ASSERT_EQ(report.status, StepStatus::accepted) << report.message;
    EXPECT_LE(emulated::ledger().waits, 3 + report.trials) << "step " << i;
    most = std::max<std::int64_t>(most, report.trials);
  }
  EXPECT_GE(most, 3);
}

/// Losses of some steps, from parameters that `change` has changed.
template <class Change>
std::vector<double> losses(const char* device, const Method& m, const char* model, const Change& change) {
  const auto context = Context::create(device);
  Setting<double> s(*context, model, LossKind::cross_entropy, 20);
  std::vector<double> theta = s.theta.download();
  change(theta);
  s.theta.upload(theta);
  auto f = s.objective({0, 0, 0.001});
  const auto optimizer = make_optimizer<double>(m.name, m.settings);
  std::vector<double> out;
  for (int i = 0; i < 5; ++i) {
    const StepReport report = optimizer->step(f, s.theta.data());
    EXPECT_EQ(report.status, StepStatus::accepted) << device << ": " << report.message;
    out.push_back(f.value(s.theta.data()));
  }
  return out;
}

const Method kMethods[] = {{"hso.kfac", {}},
                           {"hso.kfac", {{"judged", "false"}, {"factor_every", "2"}, {"decay", "0.9"}}},
                           {"hso.kfac", {{"factors", "ggn"}, {"damping", "joint"}, {"decay", "0"}}},
                           {"hso.ekfac", {}},
                           {"kfac", {{"inverse_every", "2"}}},
                           {"hso.cg", {}, 1e-6},  // rounding grows along a solve, too
                           {"hso.lowrank", {{"rank", "12"}}},
                           {"hso.cholesky", {}},
                           {"hso", {}},
                           {"lbfgs", {}},
                           {"newton_cg", {}},
                           {"sr1", {}}};

TEST(EmulatedJudgedSteps, FindWhatACpuFinds) {
  for (const Method& m : kMethods) {
    SCOPED_TRACE(m.name);
    const auto none = [](std::vector<double>&) {};
    const auto on_cpu = losses("cpu", m, "mlp:5-8-7-3:tanh", none), late = losses("cuda", m, "mlp:5-8-7-3:tanh", none);
    for (std::size_t i = 0; i < on_cpu.size(); ++i) EXPECT_NEAR(late[i], on_cpu[i], m.tolerance * on_cpu[i]);
  }
}

/// A hidden layer that is never active has factors of zeros: no eigensolver is asked about all layers at once then.
TEST(EmulatedJudgedSteps, TakeFactorsOfZerosOneByOne) {
  const auto dead = [](std::vector<double>& theta) { std::fill(theta.begin(), theta.begin() + 48, -100.0); };
  for (const char* damping : {"joint", "factored"}) {
    const Method m{"hso.kfac", {{"damping", damping}}};
    const auto on_cpu = losses("cpu", m, "mlp:5-8-3:relu", dead), late = losses("cuda", m, "mlp:5-8-3:relu", dead);
    for (std::size_t i = 0; i < on_cpu.size(); ++i) EXPECT_NEAR(late[i], on_cpu[i], m.tolerance * on_cpu[i]);
  }
}

/// Refused where loss or gradient are not finite, parameters as they were, and the next step from a good point is
/// taken.
TEST(EmulatedJudgedSteps, LeaveParametersThatAreNotFinite) {
  for (const Method& m : kMethods) {
    SCOPED_TRACE(m.name);
    const auto context = Context::create("cuda");
    Setting<double> s(*context, "mlp:5-8-3:tanh", LossKind::cross_entropy, 20);
    auto f = s.objective();
    const std::vector<double> good = s.theta.download();
    std::vector<double> bad = good;
    bad.back() = std::numeric_limits<double>::infinity();
    const auto optimizer = make_optimizer<double>(m.name, m.settings);
    for (const std::vector<double>* theta : {&good, &std::as_const(bad), &good}) {
      s.theta.upload(*theta);
      const StepReport report = optimizer->step(f, s.theta.data());
      EXPECT_EQ(report.status, theta == &bad ? StepStatus::not_finite : StepStatus::accepted) << report.message;
      if (theta == &bad) {
        EXPECT_EQ(s.theta.download(), bad);
      }
    }
  }
}

}  // namespace
}  // namespace hso::test
