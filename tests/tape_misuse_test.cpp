// SPDX-License-Identifier: Apache-2.0
//
// What cannot be computed is refused with a message that names it, before any memory is touched.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/tape.hpp"
#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/messages.hpp"
#include "support/runner.hpp"

namespace hso::test {
namespace {

class TapeMisuse : public OnDevice {};

TEST_P(TapeMisuse, ProductsNeedAPoint) {
  Runner<double> run(context(), case_named("deep"));
  const Numbers v(static_cast<std::size_t>(run.n()), 1);
  const auto attempt = [&](Curvature kind) { return message_of<UsageError>([&] { run.product(kind, v); }); };
  EXPECT_TRUE(contains(attempt(Curvature::hessian), "linearize"));
  EXPECT_TRUE(contains(attempt(Curvature::ggn), "linearize"));
  run.linearize(Linearization::for_ggn);
  EXPECT_NO_THROW(run.product(Curvature::ggn, v));
  EXPECT_TRUE(contains(attempt(Curvature::hessian), "linearize"));
  run.linearize();
  EXPECT_NO_THROW(run.product(Curvature::hessian, v));
  run.tape.forward(run.theta.data());
  EXPECT_TRUE(contains(attempt(Curvature::hessian), "linearize")) << "a forward pass moved the point";
  run.linearize();
  run.bind(0, 1, 0);
  EXPECT_TRUE(contains(attempt(Curvature::hessian), "linearize")) << "another batch";
}

TEST_P(TapeMisuse, ShapesOfDirectionsAndResultsMustFit) {
  Runner<double> run(context(), case_named("deep"));
  run.linearize();
  const Index n = run.n();
  Buffer<double> v(context(), 9 * n), hv(context(), 9 * n);
  const auto attempt = [&](Index nv, Index kv, Index nh, Index kh) {
    return message_of<InputError>([&] {
      run.tape.product(Curvature::hessian, vector_view<const double>(v.data(), nv, kv), vector_view(hv.data(), nh, kh));
    });
  };
  for (const auto& message : {attempt(n + 1, 1, n, 1), attempt(n, 1, n - 1, 1), attempt(n, 2, n, 1)})
    EXPECT_TRUE(contains(message, std::to_string(n)));
}

/// Blocks with more lanes than the tape's pool holds, with two lane counts, or of another leaf's size.
TEST_P(TapeMisuse, BlocksMustFitTheLeavesAndTheLanes) {
  Runner<double> run(context(), case_named("deep"), 2);
  run.linearize();
  const std::size_t leaves = run.tape.leaves().size();
  Buffer<double> memory(context(), 4 * run.n());
  const auto leaf = [&](std::size_t i, Index lanes) {
    return View<double>{memory.data(), run.graph[run.tape.leaves()[i]].shape, lanes, run.n()};
  };
  const auto attempt = [&](const View<double>& tangent, const View<double>& result) {
    std::vector<View<double>> tangents(leaves), results(leaves);
    tangents[0] = tangent;
    results[1] = result;
    return message_of<InputError>([&] {
      run.tape.product(Curvature::ggn, Span<const View<double>>(tangents), Span<const View<double>>(results));
    });
  };
  EXPECT_TRUE(contains(attempt(leaf(0, 3), leaf(1, 3)), "3 lanes"));
  EXPECT_TRUE(contains(attempt(leaf(0, 2), leaf(1, 1)), "1 lanes"));
  EXPECT_TRUE(contains(attempt(leaf(1, 1), leaf(1, 1)), "expected [5, 4]"));
  const std::vector<View<double>> few(leaves - 1);
  EXPECT_THROW(run.tape.product(Curvature::ggn, Span<const View<double>>(few), Span<const View<double>>(few)),
               UsageError);
}

TEST_P(TapeMisuse, BatchesMustFit) {
  Runner<double> run(context(), case_named("deep"));
  const auto attempt = [&](std::size_t x, std::size_t t) {
    const Numbers input(x), target(t);
    return message_of<InputError>([&] { run.tape.bind(input, target); });
  };
  for (const auto& [x, t] : {std::pair<std::size_t, std::size_t>{0, 0}, {4, 2}, {5, 1}, {16, 4}})
    EXPECT_TRUE(contains(attempt(x, t), "expected up to 3 rows of 4 and 1")) << x << " and " << t;
}

TEST_P(TapeMisuse, TapesNeedACompleteGraphAndSizes) {
  Graph<double> graph;
  const Node x = graph.input({3});
  const auto attempt = [&](Index batch, Index lanes) {
    return message_of<UsageError>([&] { Tape<double>(context(), graph, batch, lanes); });
  };
  EXPECT_TRUE(contains(attempt(1, 1), "set_loss"));
  const Node z = linear(graph, x, graph.parameter("w", {2, 3}));
  graph.set_output(z);
  EXPECT_TRUE(contains(attempt(1, 1), "set_loss"));
  graph.set_loss(squared_error(graph, z, graph.target({2})));
  EXPECT_TRUE(contains(attempt(0, 1), "batch 0"));
  EXPECT_TRUE(contains(attempt(1, -1), "lanes -1"));
}

/// Tapes for values, and for Gauss-Newton products, compute these as others do and refuse the rest.
TEST_P(TapeMisuse, WhatATapeHasNoRoomForIsRefused) {
  Runner<double> run(context(), case_named("deep"));
  const Index n = run.n(), batch = run.tape.batch();
  run.linearize();
  const double value = run.tape.forward(run.theta.data());
  Buffer<double> ones(context(), Span<const double>(Numbers(static_cast<std::size_t>(n), 1))), out(context(), n * n);
  Tape<double> values(context(), run.graph, batch, 0);
  Tape<double> products(context(), run.graph, batch, 1, Linearization::for_ggn);
  for (Tape<double>* tape : {&values, &products}) {
    for (auto view : {&Tape<double>::input, &Tape<double>::target, &Tape<double>::weights})
      context().ops<double>().copy((run.tape.*view)().size(), (run.tape.*view)().data, (tape->*view)().data);
    EXPECT_NEAR(tape->forward(run.theta.data()), value, rounding_tolerance<double>() * std::abs(value));
    const auto refused = [&](const std::function<void()>& call) {
      return contains(message_of<UsageError>(call), "was made for");
    };
    EXPECT_TRUE(refused([&] { tape->gradient(run.theta.data(), out.data()); }));
    EXPECT_TRUE(refused([&] { tape->gradient_on_device(run.theta.data(), out.data(), ones.data()); }));
    EXPECT_TRUE(refused([&] { tape->linearize(run.theta.data(), nullptr); }));
    EXPECT_TRUE(refused([&] { tape->dense(Curvature::hessian, out.data()); }));
    EXPECT_TRUE(refused([&] { tape->product(Curvature::hessian, ones.view(), vector_view(out.data(), n)); }));
  }
  const auto product = [&](Tape<double>& tape) {
    Buffer<double> result(context(), n);
    tape.product(Curvature::ggn, ones.view(), result.view());
    return result.download();
  };
  EXPECT_TRUE(contains(message_of<UsageError>([&] { product(values); }), "made for values"));
  products.linearize(run.theta.data(), nullptr, Linearization::for_ggn);
  EXPECT_TRUE(close(product(products), product(run.tape), rounding_tolerance<double>()));
}

/// A target that nothing reads, and a graph without one: both can be bound.
TEST_P(TapeMisuse, UnusedTargetsAreHarmless) {
  for (bool with_target : {false, true}) {
    Graph<double> graph;
    const Node x = graph.input({2});
    const Node z = linear(graph, x, graph.parameter("w", {2, 2}));
    if (with_target) graph.target({3});
    graph.set_output(z);
    graph.set_loss(squared_error(graph, z, x));
    Tape<double> tape(context(), graph, 2);
    tape.bind(Numbers{1, 2}, with_target ? Numbers{5, 5, 5} : Numbers{});  // one row of two
    Buffer<double> theta(context(), Span<const double>(Numbers{0, 0, 0, 0}));
    EXPECT_EQ(tape.forward(theta.data()), 2.5);
    EXPECT_EQ(static_cast<bool>(tape.target()), with_target);
  }
}

struct Sketch {
  Graph<double> g;
  Node x = g.input({1, 4, 4}), flat = flatten(g, x);
  Node image = g.parameter("image", {1, 4, 4}), row = g.parameter("row", {16});
  Node weight = g.parameter("weight", {2, 16}), kernel = g.parameter("kernel", {2, 1, 3, 3});
  Node z = linear(g, flat, weight), t = g.target({2});
};

/// Memory of one sample read as if it held the batch, or the other way round.
TEST(GraphMisuse, DataAndParametersDoNotMixWhereTheBatchDecides) {
  Sketch s;
  const std::vector<std::function<void()>> wrong{
      [&] { add(s.g, s.flat, s.row); },
      [&] {
        linear(s.g, s.row, reshape(s.g, flatten(s.g, s.x), {1, 16}));
      },
      [&] { linear(s.g, s.flat, s.weight, s.z); },
      [&] { conv2d(s.g, s.image, s.kernel); },
      [&] { conv2d(s.g, s.x, s.kernel, s.z); },
      [&] { maxpool2d(s.g, s.image); },
      [&] { adaptive_avgpool2d(s.g, s.image, 1, 1); },
      [&] { squared_error(s.g, linear(s.g, s.row, s.weight), s.t); },
  };
  for (std::size_t i = 0; i < wrong.size(); ++i)
    EXPECT_TRUE(contains(message_of<InputError>(wrong[i]), "depend on the data")) << "attempt " << i;
}

TEST(GraphMisuse, TheLossIsALossOfDataTargets) {
  Sketch s;
  const auto attempt = [&](Node node) { return message_of<InputError>([&] { s.g.set_loss(node); }); };
  EXPECT_TRUE(contains(attempt(s.z), "expected one number"));
  const Node sum = linear(s.g, s.z, s.g.parameter("sum", {1, 2}));
  EXPECT_TRUE(contains(attempt(reshape(s.g, sum, {})), "is no loss"));
  const Node loss = squared_error(s.g, s.z, s.t);
  EXPECT_TRUE(contains(attempt(add(s.g, loss, loss)), "is no loss"));
  EXPECT_TRUE(contains(attempt(squared_error(s.g, s.t, s.z)), "depends on parameters"));
  EXPECT_NO_THROW(s.g.set_loss(loss));
  EXPECT_TRUE(contains(attempt(99), "node 99"));
}

TEST(GraphMisuse, ShapesThatDoNotFitAreShown) {
  Sketch s;
  const auto message = [&](const std::function<void()>& f) { return message_of<InputError>(f); };
  const auto shows = [](const std::string& text, std::initializer_list<const char*> words) {
    for (const char* word : words) EXPECT_TRUE(contains(text, word));
  };
  shows(message([&] { linear(s.g, s.z, s.weight); }), {"linear", "[2]", "[2, 16]"});
  shows(message([&] { linear(s.g, s.flat, s.weight, s.row); }), {"linear: bias", "[16]", "[2, 16]"});
  shows(message([&] { conv2d(s.g, s.flat, s.kernel); }), {"conv2d", "[16]", "[2, 1, 3, 3]"});
  shows(message([&] { conv2d(s.g, s.x, s.kernel, kNoNode, {.groups = 2}); }), {"conv2d", "groups = 2"});
  shows(message([&] { conv2d(s.g, s.x, s.kernel, kNoNode, {.dilation_h = 2}); }),
        {"conv2d", "dilation 2", "[1, 4, 4]"});
  shows(message([&] { maxpool2d(s.g, s.x, {.kernel_h = 5}); }), {"maxpool2d", "window 5", "[1, 4, 4]"});
  shows(message([&] { avgpool2d(s.g, s.x, {.padding_h = 2}); }), {"avgpool2d", "padding 2", "half"});
  shows(message([&] { adaptive_avgpool2d(s.g, s.x, 0, 1); }), {"adaptive_avgpool2d", "0 x 1"});
  shows(message([&] { reshape(s.g, s.x, {3, 5}); }), {"reshape", "[1, 4, 4]", "[3, 5]"});
  shows(message([&] { add(s.g, s.flat, s.x); }), {"add", "[16]", "[1, 4, 4]"});
  shows(message([&] { dropout(s.g, s.x, 1); }), {"dropout", "p = 1"});
  shows(message([&] { cross_entropy(s.g, s.z, s.t); }), {"cross_entropy", "[2]"});
  shows(message([&] { bce(s.g, s.flat, s.t); }), {"bce", "[16]", "[2]"});
  EXPECT_THROW(s.g.input({1}), UsageError);
  EXPECT_THROW(s.g.target({1}), UsageError);
  EXPECT_THROW(s.g.parameter_at("before", {1}, -1), UsageError);
  EXPECT_THROW(parse_activation("tanch"), UsageError);
}

INSTANTIATE_TEST_SUITE_P(Devices, TapeMisuse, testing::ValuesIn(contexts()), device_word);

}  // namespace
}  // namespace hso::test
