// SPDX-License-Identifier: Apache-2.0
//
// How many nodes the recorded graph of a curvature product has, counted on the emulated device, and that the joined
// products give what separate ones give.
#include <gtest/gtest.h>

#include "emulated.hpp"
#include "hsogpu/graph/tape.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "support/network_setting.hpp"

namespace hso::test {
namespace {

constexpr const char* kSixLayers = "mlp:64-64-64-64-64-64-10:tanh";
constexpr Index kBatch = 128;

Context& cpu() {
  static const std::unique_ptr<Context> made = Context::create("cpu");
  return *made;
}

/// A linearised tape, a direction for each lane and where their products go.
struct Products {
  Products(Context& c, const std::string& model, Index rows, Index lanes)
      : setting(c, model, LossKind::cross_entropy, rows),
        tape(c, setting.network.graph, rows, lanes),
        v(c, random_numbers(static_cast<std::size_t>(lanes * setting.n()), 5)),
        hv(c, lanes * setting.n()) {
    tape.bind(setting.inputs.inputs, setting.inputs.targets);
    tape.linearize(setting.theta.data(), nullptr);
  }
  void run(Curvature kind, Index lanes) {
    const Index n = setting.n();
    tape.product(kind, vector_view<const double>(v.data(), n, lanes), vector_view(hv.data(), n, lanes));
  }
  Numbers result(Curvature kind, Index lanes) {
    run(kind, lanes);
    return hv.download();
  }

  Setting<double> setting;
  Tape<double> tape;
  Buffer<double> v, hv;
};

/// Of a product that is replayed; nothing is launched beside its graph.
std::int64_t nodes(Curvature kind, Index lanes, const char* model = kSixLayers) {
  const std::unique_ptr<Context> device = Context::create("cuda");  // without launches that poison scratch
  Products products(*device, model, kBatch, lanes);
  for (int i = 0; i < 3; ++i) products.run(kind, lanes);
  emulated::reset_ledger();
  products.run(kind, lanes);
  EXPECT_EQ(emulated::ledger().graph_launches, 1);
  EXPECT_EQ(emulated::ledger().launches + emulated::ledger().library_calls + emulated::ledger().copies, 0);
  return emulated::ledger().graph_nodes;
}

TEST(EmulatedProducts, AHessianProductOfSixLayersHasFewNodes) {
  const std::int64_t one = nodes(Curvature::hessian, 1), many = nodes(Curvature::hessian, 32);
  EXPECT_LE(one, 40);
  EXPECT_LE(static_cast<double>(many), 1.3 * static_cast<double>(one));
}

TEST(EmulatedProducts, AGaussNewtonProductOfSixLayersHasFewNodes) {
  EXPECT_LE(nodes(Curvature::ggn, 1), 35);
  EXPECT_LE(nodes(Curvature::ggn, 32), 39);
}

/// One launch of a graph however many steps there are. A step is a product and a kernel in each direction; what does
/// not wait for the step before is done for all of them.
TEST(EmulatedProducts, ARecurrenceHasTwoNodesForAStepAndADirection) {
  for (const char* cell : {"rnn", "lstm", "gru"})
    for (const Curvature kind : {Curvature::hessian, Curvature::ggn}) {
      SCOPED_TRACE(cell);
      const std::string few = std::string(cell) + ":4x3-5-3", many = std::string(cell) + ":12x3-5-3";
      const std::int64_t short_one = nodes(kind, 1, few.c_str()), long_one = nodes(kind, 1, many.c_str());
      EXPECT_GE(long_one - short_one, 4 * 8);
      EXPECT_LE(long_one - short_one, 4 * 8 + 2);  // a sum over more rows may take one launch more
      EXPECT_LE(short_one, 4 * 4 + 30);
      EXPECT_LE(static_cast<double>(nodes(kind, 16, many.c_str())), 1.3 * static_cast<double>(long_one));
    }
}

/// The CPU makes every product whole. Errors of rounding add up over a few hundred additions an entry.
TEST(EmulatedProducts, JoinedProductsAreWhatSeparateOnesAre) {
  for (const char* model : {"mlp:7-6-5-9-3:tanh", "mlp:7-6-5-9-3:relu", "mlp:4-4-4-4:gelu"})
    for (Curvature kind : {Curvature::hessian, Curvature::ggn, Curvature::fisher_empirical})
      for (Index lanes : {1, 3}) {
        Products joined(context("cuda"), model, 11, lanes), plain(cpu(), model, 11, lanes);
        const Numbers expected = plain.result(kind, lanes);
        for (int i = 0; i < 3; ++i)
          EXPECT_LT(worst(joined.result(kind, lanes), expected), 1e-13)
              << model << ", " << lanes << " lanes, run " << i;
      }
}

}  // namespace
}  // namespace hso::test
