// SPDX-License-Identifier: Apache-2.0
//
// A tape over time: many points, many products, several tapes, training steps; and differences as a check of their own.
#include <gtest/gtest.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/tape.hpp"
#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/runner.hpp"

namespace hso::test {
namespace {

class TapeState : public OnDevice {};

Numbers moved(const Numbers& theta, double step, const Numbers& v) {
  Numbers out(theta);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += step * v[i];
  return out;
}

/// Fourth-order central difference of a vector function along v; the step's error is of order h^4 = 1e-12.
template <class F>
Numbers difference(const F& f, const Numbers& theta, const Numbers& v) {
  const double h = 1e-3;
  const Numbers p1 = f(moved(theta, h, v)), m1 = f(moved(theta, -h, v));
  const Numbers p2 = f(moved(theta, 2 * h, v)), m2 = f(moved(theta, -2 * h, v));
  Numbers out(p1.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = (8 * (p1[i] - m1[i]) - (p2[i] - m2[i])) / (12 * h);
  return out;
}

TEST_P(TapeState, GradientsAndProductsMatchDifferences) {
  for (const Case& c : cases()) {
    if (!c.smooth) continue;
    SCOPED_TRACE(c.name);
    Runner<double> run(context(), c);
    const Numbers theta = run.problem.theta;
    Numbers v = random_numbers(theta.size(), c.seed + 9);
    const double length = std::sqrt(dot(v, v));
    for (double& entry : v) entry /= length;
    run.linearize();
    const Numbers hv = run.product(Curvature::hessian, v), g = run.gradient();
    const auto at = [&](const auto& what) {
      return [&run, what](const Numbers& point) {
        run.set_theta(point);
        return what();
      };
    };
    const Numbers slope = difference(at([&] { return Numbers{run.linearize()}; }), theta, v);
    EXPECT_NEAR(slope[0], dot(g, v), 1e-8 * (1 + std::fabs(slope[0]))) << "gradient against loss";
    EXPECT_TRUE(close(difference(at([&] { return run.gradient(); }), theta, v), hv, 1e-8, largest(g)))
        << "H v against gradients";
  }
}

TEST_P(TapeState, OneTapeServesManyPoints) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    Runner<double> run(context(), c);
    const Numbers v = random_numbers(run.problem.theta.size(), c.seed);
    run.linearize();
    const Numbers before = run.product(Curvature::hessian, v);
    run.set_theta(random_numbers(v.size(), c.seed + 1));
    run.linearize();
    const Numbers elsewhere = run.product(Curvature::hessian, v);
    EXPECT_FALSE(close(elsewhere, before, 1e-6) && largest(elsewhere) > 0 && c.name != "linear_regression");
    run.set_theta(run.problem.theta);
    run.linearize();
    EXPECT_TRUE(close(run.product(Curvature::hessian, v), before, rounding_tolerance<double>()));
  }
}

/// theta is copied when a point is set: changing the caller's vector afterwards changes nothing.
TEST_P(TapeState, ThePointIsACopy) {
  Runner<double> run(context(), case_named("deep"));
  const Numbers v = random_numbers(run.problem.theta.size(), 3);
  run.linearize();
  const Numbers before = run.product(Curvature::hessian, v);
  run.set_theta(Numbers(v.size()));
  EXPECT_EQ(run.product(Curvature::hessian, v), before);
}

TEST_P(TapeState, GaussNewtonProductsNeedTheForwardPassAlone) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    Runner<double> run(context(), c);
    const Numbers v = random_numbers(run.problem.theta.size(), c.seed);
    run.linearize(Linearization::for_hessian);
    const Numbers full = run.product(Curvature::ggn, v);
    Runner<double> fresh(context(), c);
    fresh.linearize(Linearization::for_ggn);
    EXPECT_TRUE(close(fresh.product(Curvature::ggn, v), full, rounding_tolerance<double>()));
  }
}

TEST_P(TapeState, RepeatedWorkAllocatesNothing) {
  for (const char* name : {"deep", "small_lenet", "conv_groups", "overlapping_slices", "dropout_training",
                           "gru_bidirectional", "between_layers", "norms_everywhere"})
    for_types([&]<class T>() {
      SCOPED_TRACE(name);
      Runner<T> run(context(), case_named(name), 3);
      const Index n = run.n();
      Buffer<T> g(context(), n), v(context(), 5 * n), hv(context(), 5 * n), h(context(), n * n);
      for (Buffer<T>* b : {&g, &v, &hv, &h})
        b->upload(Runner<T>::narrow(random_numbers(static_cast<std::size_t>(b->size()), 1)));
      const auto round = [&] {
        run.tape.gradient(run.theta.data(), g.data());
        for (Curvature kind : {Curvature::hessian, Curvature::ggn}) {
          run.tape.product(kind, vector_view<const T>(v.data(), n, 5), vector_view(hv.data(), n, 5));
          run.tape.dense(kind, h.data());
        }
        run.tape.forward(run.theta.data());
      };
      round();
      const Index count = context().allocation_count(), bytes = context().allocated_bytes();
      for (int i = 0; i < 5; ++i) round();
      EXPECT_EQ(context().allocation_count(), count);
      EXPECT_EQ(context().allocated_bytes(), bytes);
    });
}

TEST_P(TapeState, TwoTapesOnOneContextDoNotDisturbEachOther) {
  Runner<double> a(context(), case_named("small_lenet")), b(context(), case_named("conv_groups")),
      c(context(), case_named("small_lenet"), 9);
  const Numbers v = random_numbers(static_cast<std::size_t>(a.n()), 4);
  a.linearize();
  const Numbers before = a.product(Curvature::hessian, v);
  b.linearize();
  b.dense(Curvature::hessian);
  c.set_theta(random_numbers(v.size(), 5));
  c.linearize();
  c.dense(Curvature::ggn);
  EXPECT_EQ(a.product(Curvature::hessian, v), before);
}

/// y = x, unless it is told to fail on the way back.
class Fragile final : public detail::Op<double> {
 public:
  explicit Fragile(const bool& fails) : fails_(fails) {}
  std::string_view name() const override { return "fragile"; }
  Shape infer(Span<const Shape> in) const override { return in[0]; }
  void forward(detail::Ops<double>& ops, const detail::Point<double>& p) const override {
    ops.copy(p.y.size(), p.x[0].data, p.y.data);
  }
  void jvp(detail::Ops<double>& ops, const detail::Point<double>&, Span<const View<double>> Rx,
           detail::Sink<double> Ry) const override {
    add(ops, Rx[0], Ry);
  }
  void vjp(detail::Ops<double>& ops, const detail::Point<double>&, View<double> dy,
           Span<const detail::Sink<double>> dx) const override {
    if (fails_) throw MemoryError("fragile: on purpose");
    if (dx[0]) add(ops, dy, dx[0]);
  }
  void cross(detail::Ops<double>&, const detail::Point<double>&, View<double>, Span<const View<double>>, View<double>,
             Span<const detail::Sink<double>>) const override {}  // linear

 private:
  static void add(detail::Ops<double>& ops, const View<double>& x, const detail::Sink<double>& to) {
    const auto y = to.write();
    ops.for_each(
        x.lanes, x.size(),
        detail::Axpby<double>{1, x.data, x.lane_stride, y.accumulate ? 1.0 : 0.0, y.view.data, y.view.lane_stride});
  }
  const bool& fails_;
};

/// What a pass that failed midway leaves behind does not reach the products of points that are set afterwards.
TEST_P(TapeState, AFailedBackwardPassLeavesNoTrace) {
  bool fails = false;
  Graph<double> graph;
  const Node x = graph.input({4}), t = graph.target({2});
  const Node hidden = activation(graph, linear(graph, x, graph.parameter("a", {3, 4})), Activation::tanh);
  const Node y = linear(graph, graph.apply(std::make_unique<Fragile>(fails), {hidden}), graph.parameter("b", {2, 3}));
  graph.set_output(y);
  graph.set_loss(squared_error(graph, y, t));
  Tape<double> tape(context(), graph, 5);
  tape.bind(random_numbers(20, 1), random_numbers(10, 2));
  const Buffer<double> theta(context(), random_numbers(18, 3)), v(context(), random_numbers(18, 4));
  Buffer<double> g(context(), 18), other(context(), 18), hv(context(), 18), elsewhere(context(), 18);
  const auto product = [&](Buffer<double>& to) {
    tape.linearize(theta.data(), g.data());
    tape.product(Curvature::hessian, v.view(), to.view());
    return to.download();
  };
  Numbers before;
  for (int i = 0; i < 3; ++i) before = product(hv);
  fails = true;
  EXPECT_THROW(tape.linearize(theta.data(), other.data()), MemoryError);
  fails = false;
  EXPECT_EQ(product(elsewhere), before);  // launched anew after a replayed backward pass
}

TEST_P(TapeState, TheSizeOfATapeIsKnownBeforehand) {
  for (const char* name : {"deep", "small_lenet", "overlapping_slices"}) {
    const Case& c = case_named(name);
    const Graph<double> graph = graph_of<double>(c.net);
    for (Index lanes : {0, 1, 4, 32}) {
      const Index before = context().allocated_bytes();
      const Tape<double> tape(context(), graph, c.batch, lanes);
      const Index taken = context().allocated_bytes() - before;
      EXPECT_NEAR(static_cast<double>(taken),
                  static_cast<double>(Tape<double>::bytes(context(), graph, c.batch, lanes)), 4096)
          << name << " with " << lanes << " lanes";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, TapeState, testing::ValuesIn(contexts()), device_word);

}  // namespace
}  // namespace hso::test
