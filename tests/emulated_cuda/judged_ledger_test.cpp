// SPDX-License-Identifier: Apache-2.0
//
// What a step of the methods that judge their steps costs the host, counted on the emulated device.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "emulated.hpp"
#include "hsogpu/optimizer.hpp"
#include "hsogpu/wrappers.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

struct Method {
  const char* name;
  OptimizerSettings settings;
};

TEST(EmulatedJudged, Print) {
  const Method methods[] = {{"hso.kfac", {}},
                            {"hso.kfac", {{"judged", "false"}}},
                            {"hso.kfac", {{"damping", "factored"}}},
                            {"hso.ekfac", {}},
                            {"hso.cg", {}},
                            {"hso.lowrank", {}},
                            {"lbfgs", {}},
                            {"hso.cholesky", {}},
                            {"hso", {}}};
  for (const Method& m : methods) {
    const auto context = Context::create("cuda");
    const bool dense = std::string(m.name) == "hso" || std::string(m.name) == "hso.cholesky";
    Setting<float> s(*context, dense ? "mlp:5-8-7-3:tanh" : "mlp:64-64-10", LossKind::cross_entropy, 40);
    auto f = s.objective();
    const auto optimizer = make_optimizer<float>(m.name, m.settings);
    for (int i = 0; i < 6; ++i) {
      emulated::reset_ledger();
      const StepReport report = optimizer->step(f, s.theta.data());
      const auto& l = emulated::ledger();
      fmt::print("{} step {}: trials {} loss {:.9g} -> {:.9g} products {} | launches {} lib {} graphs {} copies {} waits {} {}\n",
                 m.name, i, report.trials, report.loss_before, report.loss_after, report.products, l.launches,
                 l.library_calls, l.graph_launches, l.copies, l.waits, report.message);
    }
  }
}

}  // namespace
}  // namespace hso::test
