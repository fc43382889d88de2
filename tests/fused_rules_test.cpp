// SPDX-License-Identifier: Apache-2.0
//
// The optional rules of an op do what the four rules do one after the other (detail/op.hpp).
#include <gtest/gtest.h>

#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"
#include "support/compare.hpp"
#include "support/contexts.hpp"

namespace hso::test {
namespace {

using detail::Accumulator;
using detail::Op;
using detail::Ops;
using detail::Point;
using detail::Remainder;
using detail::ReverseArgs;
using detail::Sink;

constexpr Index kRows = 5, kIn = 4, kOut = 3, kLanes = 3;
constexpr Index kMemory = 4096;
constexpr double kRounding = 1e-14;  // of a handful of additions

/// An op at a point, with a tangent of every input, and the adjoint and its tangent at the output.
struct Rules : OnDevice {
  void make(const Op<double>& rules, std::vector<Shape> inputs, const Shape& output, Index k) {
    op = &rules;
    shapes = std::move(inputs);
    lanes = k;
    memory = Buffer<double>(context(), kMemory);
    taken = 0;
    x.clear();
    Rx.assign(shapes.size(), {});
    for (std::size_t i = 1; i < shapes.size(); ++i) Rx[i] = random(shapes[i], k);
    for (const Shape& s : shapes) x.push_back(random(s, 1));
    Rx[0] = random(shapes[0], k);
    y = random(output, 1);
    dy = random(output, 1);
    Ry = random(output, k);
    Rdy = random(output, k);
    more = random(output, 1);
    op->forward(ops(), point());
  }
  /// Normal numbers, the next of one allocation: operands lie in the order that a joined product asks for.
  View<double> random(const Shape& s, Index k) {
    const auto numbers = normal_numbers<double>(k * s.size(), static_cast<std::uint64_t>(taken + 1));
    const View<double> view{memory.data() + taken, s, k, s.size()};
    taken += k * s.size();
    EXPECT_LE(taken, kMemory);
    context().to_device(numbers.data(), view.data, k * s.size() * Index{sizeof(double)});
    return view;
  }
  std::vector<double> numbers_of(const View<double>& view) {
    std::vector<double> all(static_cast<std::size_t>(view.lanes * view.size()));
    context().to_host(view.data, all.data(), view.lanes * view.size() * Index{sizeof(double)});
    return all;
  }
  Ops<double>& ops() { return context().ops<double>(); }
  Point<double> point() { return {x, y, nullptr, nullptr, false}; }
  ReverseArgs<double> args() { return {Rdy, dy, Rx, Ry, nullptr, nullptr}; }

  /// What a rule adds to adjoints of the inputs that hold numbers already, or do not.
  template <class Rule>
  std::vector<double> written_by(const Rule& rule, bool written) {
    std::vector<Accumulator<double>> sums;
    std::vector<Sink<double>> sinks;
    const Index before = taken;
    taken = kMemory / 2;  // the same numbers for every rule
    for (const Shape& shape : shapes) sums.push_back({random(shape, lanes), written});
    for (std::size_t i = 0; i < shapes.size(); ++i) sinks.emplace_back(sums[i], shapes[i]);
    rule(Span<const Sink<double>>(sinks));
    std::vector<double> all;
    for (std::size_t i = 0; i < shapes.size(); ++i)
      if (sums[i].written)
        for (double one : numbers_of(sums[i].view)) all.push_back(one);
    taken = before;
    return all;
  }
  std::vector<double> one_after_the_other(bool written) {
    return written_by([&](auto sinks) { op->Op<double>::reverse(ops(), point(), args(), sinks); }, written);
  }

  const Op<double>* op = nullptr;
  std::vector<Shape> shapes;
  Index lanes = 1;
  Buffer<double> memory;
  Index taken = 0;
  std::vector<View<double>> x, Rx;
  View<double> y, dy, Ry, Rdy, more;
};

struct FusedRules : Rules {
  void for_activations(const auto& test) {
    for (const std::string& name : activation_names()) {
      SCOPED_TRACE(name);
      Graph<double> graph;
      const Node node = activation(graph, graph.input({kOut}), parse_activation(name));
      make(*graph[node].op, {Shape{kRows, kOut}}, Shape{kRows, kOut}, kLanes);
      test();
      make(*graph[node].op, {Shape{kRows, kOut}}, Shape{kRows, kOut}, 1);
      test();
    }
  }
};

TEST_P(FusedRules, AnActivationReversesInOnePass) {
  for_activations([&] {
    for (bool written : {false, true}) {
      const auto fused = written_by([&](auto sinks) { op->reverse(ops(), point(), args(), sinks); }, written);
      EXPECT_TRUE(close(fused, one_after_the_other(written), kRounding));
    }
  });
}

/// `more` belongs to products of one lane.
TEST_P(FusedRules, AnActivationAddsWhatAnAdjointLacks) {
  for_activations([&] {
    if (lanes != 1) return;
    for (bool curved : {true, false}) {
      const View<double> second = curved ? dy : View<double>{};
      const View<double> first = random(Rdy.shape, 1);
      ops().copy(Rdy.size(), Rdy.data, first.data);
      const auto lacking = written_by(
          [&](auto sinks) {
            op->reverse(ops(), point(), {first, second, Rx, Ry, more.data, nullptr}, sinks);
          },
          false);
      ops().for_each(1, Rdy.size(), detail::Axpby<double>{1.0, more.data, 0, 1.0, Rdy.data, 0});
      const auto whole = written_by(
          [&](auto sinks) {
            op->Op<double>::reverse(ops(), point(), {Rdy, second, Rx, Ry, nullptr, nullptr}, sinks);
          },
          false);
      EXPECT_TRUE(close(lacking, whole, kRounding)) << curved;
    }
  });
}

TEST_P(FusedRules, AnActivationCompletesTangents) {
  for_activations([&] {
    ASSERT_TRUE(op->completes_tangents());
    for (bool in_room : {false, true}) {
      if (in_room && lanes != 1) continue;
      const View<double> bias = random(Shape{kOut}, lanes), whole = random(Rx[0].shape, lanes);
      ops().copy(lanes * whole.size(), Rx[0].data, whole.data);
      ops().for_each(lanes * kRows, kOut,
                     detail::AddToRows<double>{bias.data, kOut, whole.data, whole.size(), kRows, kOut, true});
      if (in_room) ops().for_each(1, whole.size(), detail::Axpby<double>{1.0, more.data, 0, 1.0, whole.data, 0});
      const auto tangent = [&](const auto& rule) {
        Accumulator<double> sum{random(y.shape, lanes), false};
        rule(Sink<double>(sum, y.shape));
        return numbers_of(sum.view);
      };
      const auto expected = tangent([&](auto to) { op->jvp(ops(), point(), Span<const View<double>>(&whole, 1), to); });
      const Remainder<double> left{more.data, in_room, bias};
      EXPECT_TRUE(
          close(tangent([&](auto to) { op->complete_jvp(ops(), point(), left, Rx[0], to); }), expected, kRounding));
      EXPECT_TRUE(close(numbers_of(Rx[0]), numbers_of(whole), kRounding));
    }
  });
}

struct JoinedRules : Rules {
  void SetUp() override {
    const Node node =
        linear(graph, graph.input({kIn}), graph.parameter("w", {kOut, kIn}), graph.parameter("b", {kOut}));
    make(*graph[node].op, {Shape{kRows, kIn}, Shape{kOut, kIn}, Shape{kOut}}, Shape{kRows, kOut}, 1);
  }
  /// tensor + what was left of it
  void complete(const Remainder<double>& left, const View<double>& tensor) {
    const Index n = tensor.size();
    if (left.in_room) ops().for_each(1, n, detail::Axpby<double>{1.0, left.room, n, 1.0, tensor.data, n});
    if (left.bias)
      ops().for_each(kRows, kOut, detail::AddToRows<double>{left.bias.data, 0, tensor.data, n, kRows, kOut, true});
  }
  Graph<double> graph;
};

TEST_P(JoinedRules, ALinearLayerLeavesAPartOfItsTangent) {
  for (bool room : {false, true}) {
    Accumulator<double> whole{random(y.shape, 1), false}, part{random(y.shape, 1), false};
    op->jvp(ops(), point(), Rx, Sink<double>(whole, y.shape));
    Remainder<double> left;
    if (room) left.room = random(y.shape, 1).data;
    op->begin_jvp(ops(), point(), Rx, Sink<double>(part, y.shape), left);
    EXPECT_EQ(left.in_room, room);
    EXPECT_EQ(left.bias.data, Rx[2].data);
    complete(left, part.view);
    EXPECT_TRUE(close(numbers_of(part.view), numbers_of(whole.view), kRounding));
  }
}

TEST_P(JoinedRules, ALinearLayerLeavesAPartOfItsAdjoint) {
  for (bool written : {false, true}) {
    Remainder<double> left;
    const auto joined = written_by(
        [&](auto sinks) {
          left.room = random(x[0].shape, 1).data;
          ReverseArgs<double> r = args();
          r.left = &left;
          op->reverse(ops(), point(), r, sinks);
          complete(left, {memory.data() + kMemory / 2, x[0].shape, 1, x[0].size()});  // where the first sink lies
        },
        written);
    EXPECT_EQ(left.in_room, !written);  // a part of a sum that others have begun is added to it at once
    EXPECT_TRUE(close(joined, one_after_the_other(written), kRounding));
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, JoinedRules, testing::ValuesIn(contexts()), device_word);
INSTANTIATE_TEST_SUITE_P(Devices, FusedRules, testing::ValuesIn(contexts()), device_word);

}  // namespace
}  // namespace hso::test
