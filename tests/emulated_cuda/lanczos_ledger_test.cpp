// SPDX-License-Identifier: Apache-2.0
//
// What Lanczos' steps cost the host, counted on the emulated device: it waits where it looks, not in between.
#include <gtest/gtest.h>

#include "emulated.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "hsogpu/optim/hso.hpp"
#include "optim/hso/krylov_pairs.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

constexpr const char* kModel = "mlp:5-8-7-3:tanh";

/// A context of its own: the shared one fills released scratch, which would be counted.
class EmulatedLanczos : public testing::Test {
 protected:
  Context& device() { return *device_; }

 private:
  std::unique_ptr<Context> device_ = Context::create("cuda");
};

Context& cpu() {
  static const std::unique_ptr<Context> made = Context::create("cpu");
  return *made;
}

emulated::Ledger operator-(const emulated::Ledger& a, const emulated::Ledger& b) {
  emulated::Ledger d;
  d.launches = a.launches - b.launches;
  d.library_calls = a.library_calls - b.library_calls;
  d.copies = a.copies - b.copies;
  d.waits = a.waits - b.waits;
  return d;
}

/// Between a run of 8 steps and one of 24: what 16 steps cost.
emulated::Ledger sixteen_steps(const std::function<void(Index)>& run) {
  run(8);
  emulated::reset_ledger();
  run(8);
  const emulated::Ledger few = emulated::ledger();
  emulated::reset_ledger();
  run(24);
  return emulated::ledger() - few;
}

TEST_F(EmulatedLanczos, StepsDoNotWait) {
  Setting<double> s(device(), kModel, LossKind::cross_entropy, 20);
  auto f = s.objective();
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  for (Index block : {1, 3}) {
    SCOPED_TRACE("block " + std::to_string(block));
    const emulated::Ledger spent = sixteen_steps([&](Index steps) {
      LanczosOptions o{.count = 3, .block = block, .basis = 100, .max_products = steps * block};
      o.tolerance = 1e-30;
      o.vectors = false;
      EXPECT_EQ(lanczos(*h, o).products, steps * block);
    });
    EXPECT_LE(spent.waits, 16 / 4);
    EXPECT_LE(spent.copies, 16 / 4 + 16);    // 16: the product's
    EXPECT_LE(spent.library_calls, 16 * 4);  // two projections; those of the product are in its graph
    EXPECT_LE(spent.launches, 16 * (block == 1 ? 9 : 12));
  }
}

TEST_F(EmulatedLanczos, StepsOfQuadratureDoNotWait) {
  Setting<double> s(device(), kModel, LossKind::cross_entropy, 20);
  auto f = s.objective();
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  for (bool full : {false, true}) {
    const emulated::Ledger spent = sixteen_steps([&](Index steps) {
      DensityOptions o{.probes = 3, .steps = steps};
      o.reorthogonalize = full;
      EXPECT_EQ(spectral_density(*h, o).products, 3 * steps);
    });
    EXPECT_LE(spent.waits, 2) << full;
    EXPECT_LE(spent.launches, 16 * 8) << full;
  }
}

TEST_F(EmulatedLanczos, TracesWaitOnce) {
  Setting<double> s(device(), kModel, LossKind::cross_entropy, 20);
  auto f = s.objective();
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  trace(*h, {.products = 100});
  emulated::reset_ledger();
  trace(*h, {.products = 100});
  EXPECT_LE(emulated::ledger().waits, 1);
}

/// A space that ends before the rank: what was made behind its end is dropped, and random vectors go on.
TEST_F(EmulatedLanczos, ASpaceThatEndsIsContinued) {
  Setting<double> s(device(), "mlp:3-2-2:tanh", LossKind::squared_error, 2);
  Setting<double> on_cpu(cpu(), "mlp:3-2-2:tanh", LossKind::squared_error, 2);
  auto f = s.objective(), plain = on_cpu.objective();
  const auto g = f.curvature(s.theta.data(), Curvature::ggn);
  const auto expected = plain.curvature(on_cpu.theta.data(), Curvature::ggn);
  for (Index block : {1, 2, 3}) {
    SCOPED_TRACE("block " + std::to_string(block));
    const LanczosOptions o{.count = 7, .which = SpectrumEnd::both, .block = block};
    const auto found = lanczos(*g, o), known = lanczos(*expected, o);
    EXPECT_TRUE(found.all_converged()) << found.stop;
    ASSERT_EQ(found.values.size(), known.values.size());
    for (std::size_t i = 0; i < known.values.size(); ++i)
      EXPECT_NEAR(found.values[i], known.values[i], 1e-8 * found.scale) << i;
  }
}

TEST_F(EmulatedLanczos, KrylovPairsWaitOnce) {
  constexpr Index kRank = 12;
  Setting<double> s(device(), kModel, LossKind::cross_entropy, 20);
  auto f = s.objective();
  Buffer<double> gradient(device(), s.n());
  f.gradient(s.theta.data(), gradient.data());
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  detail::KrylovPairs<double> pairs(device(), s.n(), kRank);
  for (int i = 0; i < 2; ++i) {
    emulated::reset_ledger();
    ASSERT_TRUE(pairs.refresh(*h, gradient.data(), kRank, 0, 1));
  }
  EXPECT_EQ(pairs.products(), kRank);
  EXPECT_LE(emulated::ledger().waits, 1);
}

}  // namespace
}  // namespace hso::test
