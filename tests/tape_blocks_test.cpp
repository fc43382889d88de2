// SPDX-License-Identifier: Apache-2.0
//
// Products between chosen parameter leaves, and views with other strides than n.
#include <gtest/gtest.h>

#include "hsogpu/graph/tape.hpp"
#include "support/compare.hpp"
#include "support/contexts.hpp"
#include "support/runner.hpp"

namespace hso::test {
namespace {

class TapeBlocks : public OnDevice {};

template <class T>
struct Blocks {
  static constexpr Index kLanes = 2;
  Blocks(Context& context, const Case& c) : run(context, c, kLanes), total(run.n() * kLanes) {
    run.linearize();
    v_in =
        Buffer<T>(context, Span<const T>(Runner<T>::narrow(random_numbers(static_cast<std::size_t>(total), c.seed))));
  }

  const typename Graph<T>::NodeInfo& leaf(std::size_t i) const { return run.graph[run.tape.leaves()[i]]; }
  std::size_t leaves() const { return run.tape.leaves().size(); }

  /// All lanes of the slice of a leaf in a buffer [kLanes][n].
  View<T> slice(Buffer<T>& buffer, std::size_t i) const {
    return {buffer.data() + leaf(i).offset, leaf(i).shape, kLanes, run.n()};
  }
  /// out += block [row][column] times the column leaf's slice of v.
  void add_block(Curvature kind, std::size_t row, std::size_t column, Buffer<T>& out) {
    std::vector<View<T>> tangents(leaves()), results(leaves());
    tangents[column] = slice(v_in, column);
    results[row] = slice(out, row);
    run.tape.product(kind, Span<const View<T>>(tangents), Span<const View<T>>(results), /*add=*/true);
  }
  Buffer<T> zeros() const {
    const std::vector<T> host(static_cast<std::size_t>(total));
    return Buffer<T>(run.context, Span<const T>(host));
  }

  Runner<T> run;
  Index total;
  Buffer<T> v_in;
};

/// A copy of v with zeros outside the leaf's slice.
template <class T>
Numbers only(const Blocks<T>& b, const Numbers& v, std::size_t i) {
  Numbers out(v.size());
  const Index first = b.leaf(i).offset, size = b.leaf(i).shape.size();
  for (Index k = 0; k < Blocks<T>::kLanes; ++k)
    for (Index j = k * b.run.n() + first; j < k * b.run.n() + first + size; ++j)
      out[static_cast<std::size_t>(j)] = v[static_cast<std::size_t>(j)];
  return out;
}

/// Blocks of overlapping leaves count shared entries once for each pair of uses, so only their sum is the matrix.
TEST_P(TapeBlocks, AddUpToTheWholeProduct) {
  for (const Case& c : cases())
    for_types([&]<class T>() {
      SCOPED_TRACE(c.name);
      Blocks<T> b(context(), c);
      const Numbers v = Runner<T>::widen(b.v_in.download());
      for (Curvature kind : {Curvature::hessian, Curvature::ggn}) {
        Buffer<T> sum = b.zeros();
        for (std::size_t row = 0; row < b.leaves(); ++row)
          for (std::size_t column = 0; column < b.leaves(); ++column) b.add_block(kind, row, column, sum);
        EXPECT_TRUE(close(Runner<T>::widen(sum.download()), b.run.product(kind, v), rounding_tolerance<T>()));
      }
    });
}

TEST_P(TapeBlocks, AreTheBlocksOfTheMatrix) {
  for (const Case& c : cases())
    for_types([&]<class T>() {
      SCOPED_TRACE(c.name);
      Blocks<T> b(context(), c);
      if (b.run.graph.has_tied_parameters()) return;
      const Numbers v = Runner<T>::widen(b.v_in.download());
      const double scale = largest(b.run.product(Curvature::hessian, v));
      for (std::size_t column = 0; column < b.leaves(); ++column) {
        const Numbers whole = b.run.product(Curvature::hessian, only(b, v, column));
        for (std::size_t row = 0; row < b.leaves(); ++row) {
          Buffer<T> block = b.zeros();
          b.add_block(Curvature::hessian, row, column, block);
          ASSERT_TRUE(close(Runner<T>::widen(block.download()), only(b, whole, row), rounding_tolerance<T>(), scale))
              << "row leaf " << row << ", column leaf " << column;
        }
      }
    });
}

TEST_P(TapeBlocks, NullEverywhereIsZeroWork) {
  Blocks<double> b(context(), case_named("residual"));
  const std::vector<View<double>> none(b.leaves());
  b.run.tape.product(Curvature::hessian, Span<const View<double>>(none), Span<const View<double>>(none));
  Buffer<double> out = b.zeros();
  std::vector<View<double>> results;
  for (std::size_t i = 0; i < b.leaves(); ++i) results.push_back(b.slice(out, i));
  b.run.tape.product(Curvature::hessian, Span<const View<double>>(none), Span<const View<double>>(results));
  EXPECT_EQ(largest(out.download()), 0);
}

/// A leaf that starts beyond the end of the one before leaves a gap in theta: derivatives are zero there.
TEST_P(TapeBlocks, EntriesOfNoLeafAreZero) {
  Graph<double> graph;
  const Node x = graph.input(Shape{3}), target = graph.target(Shape{2});
  const Node weight = graph.parameter("weight", Shape{2, 3}), bias = graph.parameter_at("bias", Shape{2}, 9);
  graph.set_output(linear(graph, x, weight, bias));
  graph.set_loss(squared_error(graph, graph.output_node(), target));
  Tape<double> tape(context(), graph, 4, 3);
  tape.bind(random_numbers(12, 1), random_numbers(8, 2));
  const Index n = tape.dimension();
  ASSERT_EQ(n, 11);
  const Buffer<double> theta(context(), random_numbers(11, 3));
  Buffer<double> g(context(), Numbers(11, 7)), h(context(), Numbers(121, 7));
  tape.gradient(theta.data(), g.data());
  tape.dense(Curvature::hessian, h.data());
  const Numbers gradient = g.download(), hessian = h.download();
  for (std::size_t i = 6; i < 9; ++i) {
    EXPECT_EQ(gradient[i], 0);
    for (std::size_t j = 0; j < 11; ++j) EXPECT_EQ(hessian[11 * i + j], 0) << j;
    for (std::size_t j = 0; j < 11; ++j) EXPECT_EQ(hessian[11 * j + i], 0) << j;
  }
  EXPECT_NE(hessian[0], 0);
}

/// Lanes that lie further apart than n, and one direction seen by every lane.
TEST_P(TapeBlocks, LaneStridesAreFree) {
  for (const char* name : {"deep", "conv_groups", "residual_convolution", "reused_leaf", "overlapping_slices"})
    for_types([&]<class T>() {
      SCOPED_TRACE(name);
      const Case& c = case_named(name);
      Runner<T> run(context(), c, 3);
      run.linearize();
      const Index n = run.n(), wide = n + 7;
      const Numbers host = random_numbers(static_cast<std::size_t>(3 * wide), c.seed);
      Buffer<T> v(context(), Span<const T>(Runner<T>::narrow(host)));
      Buffer<T> out(context(), Span<const T>(Runner<T>::narrow(Numbers(host.size()))));
      run.tape.product(Curvature::hessian, vector_view<const T>(v.data(), n, 3, wide),
                       vector_view(out.data(), n, 3, wide));
      const Numbers strided = Runner<T>::widen(out.download());
      Buffer<T> same(context(), Span<const T>(Runner<T>::narrow(Numbers(static_cast<std::size_t>(3 * n)))));
      run.tape.product(Curvature::hessian, vector_view<const T>(v.data(), n, 3, 0), vector_view(same.data(), n, 3));
      const Numbers broadcast = Runner<T>::widen(same.download());
      const Numbers first = run.product(Curvature::hessian, {host.begin(), host.begin() + n});
      for (Index k = 0; k < 3; ++k) {
        const auto at = [&](const Numbers& x, Index begin, Index size) {
          return Numbers(x.begin() + begin, x.begin() + begin + size);
        };
        const Numbers alone = run.product(Curvature::hessian, at(host, k * wide, n));
        EXPECT_TRUE(close(at(strided, k * wide, n), alone, rounding_tolerance<T>())) << "strided lane " << k;
        EXPECT_EQ(largest(at(strided, k * wide + n, 7)), 0) << "the gap after lane " << k;
        EXPECT_TRUE(close(at(broadcast, k * n, n), first, rounding_tolerance<T>())) << "broadcast lane " << k;
      }
    });
}

INSTANTIATE_TEST_SUITE_P(Devices, TapeBlocks, testing::ValuesIn(contexts()), device_word);

}  // namespace
}  // namespace hso::test
