// SPDX-License-Identifier: Apache-2.0
//
// What products and solvers cost the host: launches, graph launches and waits, counted on the emulated device.
#include <gtest/gtest.h>

#include <variant>

#include "emulated.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "hsogpu/optim/hso.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

constexpr const char* kModel = "mlp:5-8-7-3:tanh";

/// Without poisoned scratch, whose fills would be counted.
class EmulatedSolvers : public testing::Test {
 protected:
  Context& device() { return *device_; }

 private:
  const std::unique_ptr<Context> device_ = Context::create("cuda");
};

Context& cpu() {
  static const std::unique_ptr<Context> made = Context::create("cpu");
  return *made;
}

/// H V by the CPU, row by row.
Numbers products_on_cpu(const Numbers& v) {
  Setting<double> s(cpu(), kModel, LossKind::cross_entropy, 20);
  auto f = s.objective();
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  const Buffer<double> in(cpu(), v);
  Buffer<double> out(cpu(), in.size());
  for (Index at = 0; at < in.size(); at += s.n())
    h->apply(vector_view<const double>(in.data() + at, s.n()), vector_view(out.data() + at, s.n()));
  return out.download();
}

/// As in a Krylov basis: every product takes a new row. With one place for results a copy of the row stands before
/// the replay; with new places another one copies the result.
TEST_F(EmulatedSolvers, ProductsOfNewVectorsAreReplayed) {
  constexpr Index kRows = 12, kWarm = 4;
  Setting<double> s(device(), kModel, LossKind::cross_entropy, 20);
  auto f = s.objective();
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  const Index n = s.n();
  const Numbers rows = random_numbers(static_cast<std::size_t>(kRows * n), 3), expected = products_on_cpu(rows);
  const Buffer<double> v(device(), rows);
  Buffer<double> w(device(), n), kept(device(), kRows * n);
  for (const bool one_place : {true, false}) {
    for (Index i = 0; i < kRows; ++i) {
      if (i == kWarm) emulated::reset_ledger();
      h->apply(vector_view<const double>(v.data() + i * n, n),
               vector_view(one_place ? w.data() : kept.data() + i * n, n));
    }
    const emulated::Ledger spent = emulated::ledger();
    EXPECT_EQ(spent.graph_launches, kRows - kWarm);
    EXPECT_EQ(spent.launches + spent.copies, (one_place ? 1 : 2) * (kRows - kWarm));
    EXPECT_EQ(spent.library_calls, 0);
    EXPECT_EQ(spent.waits, 0);
  }
  EXPECT_LT(worst(kept.download(), expected), 1e-12);
  EXPECT_LT(worst(w.download(), Numbers(expected.end() - n, expected.end())), 1e-12);
}

/// The unit vectors' position is the only thing that changes from piece to piece.
TEST_F(EmulatedSolvers, DenseHessiansAreReplayed) {
  Setting<double> s(device(), kModel, LossKind::cross_entropy, 20), on_cpu(cpu(), kModel, LossKind::cross_entropy, 20);
  NetworkObjectiveOptions o;
  o.lanes = 4;
  auto f = s.objective(o), plain = on_cpu.objective(o);
  const auto h = f.curvature(s.theta.data(), Curvature::hessian);
  Buffer<double> matrix(device(), s.n() * s.n());
  for (int i = 0; i < 3; ++i) {
    emulated::reset_ledger();
    h->to_dense(matrix.data());
  }
  const emulated::Ledger spent = emulated::ledger();
  Index pieces = 0;
  for (const ParameterSlice& slice : f.layout()) pieces += (slice.size() + o.lanes - 1) / o.lanes;
  EXPECT_EQ(spent.graph_launches, pieces);
  EXPECT_EQ(spent.library_calls, 0);
  EXPECT_EQ(spent.waits, 0);
  EXPECT_LT(worst(widen(matrix.download()), on_cpu.dense(plain, Curvature::hessian)), 1e-12);
}

/// Launches of a long solve: product, the rest of the iteration, and little else.
TEST_F(EmulatedSolvers, IterationsOfConjugateGradientsDoNotWait) {
  Setting<double> s(device(), kModel, LossKind::cross_entropy, 20);
  auto f = s.objective();
  const auto g = f.curvature(s.theta.data(), Curvature::ggn);
  AffineOperator<double> damped(*g, 1, 1e-4);
  const Buffer<double> b(device(), random_numbers(static_cast<std::size_t>(s.n()), 8));
  Buffer<double> x(device(), s.n());
  const auto solve = [&] { return cg<double>(damped, b.view(), x.view(), {.tolerance = 1e-9}); };
  solve();
  emulated::reset_ledger();
  const Index iterations = solve().lanes[0].iterations;
  const emulated::Ledger spent = emulated::ledger();
  ASSERT_GT(iterations, 20);
  RecordProperty("iterations", static_cast<int>(iterations));
  EXPECT_LE(spent.waits, iterations / 4 + 4);
  EXPECT_GE(spent.graph_launches, 2 * (iterations - 3));
  EXPECT_LE(spent.launches, iterations + 80);  // the damping's; a few iterations before their launches are recorded
  EXPECT_LE(spent.copies, iterations / 4 + 6);
}

/// A step of hso.cg waits for losses and for the looks at its solves, not for iterations.
TEST_F(EmulatedSolvers, StepsOfHsoCgWaitForDecisionsOnly) {
  Setting<double> s(device(), kModel, LossKind::cross_entropy, 20);
  auto f = s.objective();
  HsoCgOptions o;
  o.curvature = Curvature::ggn;
  const auto optimizer = make_hso_cg<double>(o);
  for (int i = 0; i < 6; ++i) {
    emulated::reset_ledger();
    const StepReport report = optimizer->step(f, s.theta.data());
    ASSERT_EQ(report.status, StepStatus::accepted) << report.message;
    if (i == 0) continue;  // nothing says yet how long a solve takes
    std::int64_t values = 0;
    for (const auto& [name, number] : report.metrics)
      if (name == "evaluations") values = std::get<std::int64_t>(number);
    // The loss at the start and at trial points, the end of each solve, and the model of a step that backtracking
    // chose.
    EXPECT_LE(emulated::ledger().waits, 1 + values + 3 * report.trials) << "step " << i;
    EXPECT_GT(emulated::ledger().graph_launches, 2 * report.products);
  }
}

}  // namespace
}  // namespace hso::test
