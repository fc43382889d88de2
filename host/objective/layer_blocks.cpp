// SPDX-License-Identifier: Apache-2.0
#include "objective/layer_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "graph/traversal.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"

namespace hso::detail {
namespace {

/// How often a node is weight or bias of a product layer, and how often it is anything else.
struct Uses {
  int layers = 0, others = 0;
};

template <class T>
void require_covered(const Graph<T>& graph, const std::vector<Uses>& uses) {
  using Kind = typename Graph<T>::Kind;
  if (graph.has_tied_parameters())
    throw UsageError("layer blocks: parameters overlap (tied weights), expected every layer to have its own");
  Index covered = 0;
  for (std::size_t i = 0; i < uses.size(); ++i) {
    const auto& info = graph.nodes()[i];
    if (info.kind != Kind::parameter) continue;
    covered += info.shape.size();
    if (uses[i].layers != 1 || uses[i].others > 0)
      throw UsageError(fmt::format(
          "layer blocks: parameter '{}' is the weight or bias of {} products with the data and used {} times "
          "elsewhere, expected one product and nothing else; take another kind of curvature",
          info.name, uses[i].layers, uses[i].others));
  }
  if (covered != graph.parameter_count())
    throw UsageError(fmt::format("layer blocks: {} of {} entries of theta belong to a parameter, expected all", covered,
                                 graph.parameter_count()));
}

template <class T>
void append_blocks(const Graph<T>& graph, Node node, std::vector<LayerBlock>& out) {
  const auto& info = graph[node];
  std::vector<Shape> shapes;
  for (Node in : info.inputs) shapes.push_back(graph[in].shape);
  const ProductSizes s = info.op->as_product()->product_sizes(shapes, info.shape);
  const bool bias = info.inputs.size() == 3;
  if (bias && s.transposed) throw std::logic_error(info.name + ": a transposed weight with a bias");
  for (Index g = 0; g < s.groups; ++g)
    out.push_back({node, info.inputs[1], g, s, bias, graph[info.inputs[1]].offset + g * s.outputs * s.inputs,
                   bias ? graph[info.inputs[2]].offset + g * s.outputs : 0});
}

constexpr Index kChunkBytes = Index{16} << 20;

/// body(first, samples) over the batch, so that a sample's `bytes` times samples stay within a budget.
template <class T, class Body>
void each_chunk(Tape<T>& tape, Index bytes, const Body& body) {
  const Index budget = std::max(kChunkBytes, tape.context().template ops<T>().chunk_bytes());
  const Index most = std::clamp<Index>(budget / std::max<Index>(bytes, 1), 1, tape.batch());
  for (Index first = 0; first < tape.batch(); first += most) body(first, std::min(most, tape.batch() - first));
}

/// A block with its layer at the tape's point.
template <class T>
struct Layer {
  Layer(Tape<T>& t, const LayerBlock& b)
      : ops(t.context().template ops<T>()),
        block(b),
        point(t.traversal().point(b.layer)),
        product(*t.graph()[b.layer].op->as_product()) {}

  Index positions() const { return block.sizes.positions; }
  /// xbar as [inputs][rows], the ones last.
  T* inputs(Scratch& scratch, Index first, Index samples) const {
    const Index rows = samples * positions();
    T* x = scratch.take<T>(block.inputs() * rows);
    product.input_rows(ops, point, block.group, first, samples, x);
    if (block.bias) ops.fill(rows, T(1), x + block.sizes.inputs * rows);
    return x;
  }
  /// s as [outputs][lanes][rows]
  T* adjoints(Scratch& scratch, const View<T>& dy, Index first, Index samples) const {
    T* s = scratch.take<T>(block.outputs() * dy.lanes * samples * positions());
    product.output_rows(ops, point, dy, block.group, first, samples, s);
    return s;
  }

  Ops<T>& ops;
  const LayerBlock& block;
  Point<T> point;
  const ProductLayer<T>& product;
};

/// c[m][m] += alpha x x', x[m][k]
template <class T>
void add_gram(Ops<T>& ops, Index m, Index k, const T* x, double alpha, T* c) {
  ops.gemm({m, m, k, x, k, false, x, k, true, c, m, static_cast<T>(alpha), T(1)});
}

/// Q x, x[m][k]; x itself without a Q.
template <class T>
T* rotated(Ops<T>& ops, Scratch& scratch, const T* q, Index m, Index k, T* x) {
  if (q == nullptr) return x;
  T* y = scratch.take<T>(m * k);
  ops.gemm({m, k, m, q, m, false, x, k, false, y, k});
  return y;
}

/// One position a sample: the square of an outer product is the outer product of the squares.
template <class T>
void add_squares_of_products(Ops<T>& ops, const LayerBlock& b, Index samples, Index lanes, T* s, T* x, T* table) {
  Scratch scratch(ops.context());
  T* sums = scratch.take<T>(b.rows() * samples);
  ops.for_each(1, b.rows() * lanes * samples, Square<T>{s, s});
  ops.for_each(1, b.columns() * samples, Square<T>{x, x});
  ops.sum_rows({b.rows(), lanes, samples, s, lanes * samples, sums, samples, T(0)});
  ops.gemm({b.rows(), b.columns(), samples, sums, samples, false, x, samples, true, table, b.columns(), T(1), T(1)});
}

/// Many positions: each sample's sum over them first.
template <class T>
void add_squares_of_sums(Ops<T>& ops, const LayerBlock& b, Index samples, Index lanes, const T* s, const T* x,
                         T* table) {
  const Index positions = b.sizes.positions, rows = samples * positions;
  Scratch scratch(ops.context());
  T* sums = scratch.take<T>(samples * b.size());
  for (Index k = 0; k < lanes; ++k) {
    GemmArgs<T> a{b.rows(), b.columns(), positions, s + k * rows, lanes * rows, false,
                  x,        rows,        true,      sums,         b.columns()};
    if (b.sizes.transposed) std::swap(a.a, a.b), std::swap(a.lda, a.ldb);
    a.batch = samples;
    a.stride_a = a.stride_b = positions;
    a.stride_c = b.size();
    ops.gemm(a);
    ops.for_each(1, samples * b.size(), Square<T>{sums, sums});
    ops.sum_rows({1, samples, b.size(), sums, samples * b.size(), table, b.size(), T(1)});
  }
}

}  // namespace

template <class T>
std::vector<LayerBlock> layer_blocks(const Graph<T>& graph) {
  std::vector<LayerBlock> out;
  std::vector<Uses> uses(graph.nodes().size());
  for (Node i = 0; i < static_cast<Node>(graph.nodes().size()); ++i) {
    const auto& info = graph[i];
    const bool layer = info.op && info.op->as_product() != nullptr && graph[info.inputs[0]].batched;
    for (std::size_t in = 0; in < info.inputs.size(); ++in) {
      Uses& u = uses[static_cast<std::size_t>(info.inputs[in])];
      ++(layer && in > 0 ? u.layers : u.others);
    }
    if (layer) append_blocks(graph, i, out);
  }
  require_covered(graph, uses);
  return out;
}

template <class T>
void cut_out(Ops<T>& ops, const LayerBlock& b, const View<const T>& theta, T* m) {
  const Index inputs = b.columns() - (b.bias ? 1 : 0);
  ops.for_each(theta.lanes * b.rows(), inputs,
               CopyRows<T>{theta.data + b.weight, theta.lane_stride, inputs, m, b.size(), b.columns(), b.rows()});
  if (b.bias)
    ops.for_each(
        theta.lanes * b.rows(), 1,
        CopyRows<T>{theta.data + b.bias_offset, theta.lane_stride, 1, m + inputs, b.size(), b.columns(), b.rows()});
}

template <class T>
void put_back(Ops<T>& ops, const LayerBlock& b, const T* m, const View<T>& theta) {
  const Index inputs = b.columns() - (b.bias ? 1 : 0);
  ops.for_each(theta.lanes * b.rows(), inputs,
               CopyRows<T>{m, b.size(), b.columns(), theta.data + b.weight, theta.lane_stride, inputs, b.rows()});
  if (b.bias)
    ops.for_each(
        theta.lanes * b.rows(), 1,
        CopyRows<T>{m + inputs, b.size(), b.columns(), theta.data + b.bias_offset, theta.lane_stride, 1, b.rows()});
}

template <class T>
void add_input_factor(Tape<T>& tape, const LayerBlock& block, T* a) {
  const Layer<T> layer(tape, block);
  const Index positions = layer.positions(), bytes = block.inputs() * positions * static_cast<Index>(sizeof(T));
  each_chunk(tape, bytes, [&](Index first, Index samples) {
    const Index rows = samples * positions;
    Scratch scratch(tape.context());
    T* x = layer.inputs(scratch, first, samples);
    T* roots = scratch.take<T>(rows);
    layer.ops.for_each(samples, positions, SampleRoots<T>{tape.weights().data + first, roots, positions});
    layer.ops.for_each(block.inputs(), rows, Scale<T>{roots, x, rows, x, rows, false});
    add_gram(layer.ops, block.inputs(), rows, x, 1, a);
  });
}

template <class T>
void add_output_factor(Tape<T>& tape, const LayerBlock& block, const View<T>& adjoint, double alpha, T* b) {
  const Layer<T> layer(tape, block);
  const Index width = adjoint.lanes * layer.positions();
  each_chunk(tape, block.outputs() * width * static_cast<Index>(sizeof(T)), [&](Index first, Index samples) {
    Scratch scratch(tape.context());
    const T* s = layer.adjoints(scratch, adjoint, first, samples);
    add_gram(layer.ops, block.outputs(), samples * width, s, alpha, b);
  });
}

template <class T>
void add_squares(Tape<T>& tape, const LayerBlock& block, const View<T>& adjoint, const T* qa, const T* qb, T* table) {
  const Layer<T> layer(tape, block);
  const Index positions = layer.positions(), width = adjoint.lanes * positions;
  const bool sums = positions > 1 || block.sizes.transposed;
  const Index numbers = 2 * (block.inputs() * positions + block.outputs() * width) + (sums ? block.size() : 0);
  const T* q_inputs = block.sizes.transposed ? qb : qa;
  const T* q_outputs = block.sizes.transposed ? qa : qb;
  each_chunk(tape, numbers * static_cast<Index>(sizeof(T)), [&](Index first, Index samples) {
    Scratch scratch(tape.context());
    T* x = rotated(layer.ops, scratch, q_inputs, block.inputs(), samples * positions,
                   layer.inputs(scratch, first, samples));
    T* s = rotated(layer.ops, scratch, q_outputs, block.outputs(), samples * width,
                   layer.adjoints(scratch, adjoint, first, samples));
    if (!sums)
      add_squares_of_products(layer.ops, block, samples, adjoint.lanes, s, x, table);
    else
      add_squares_of_sums(layer.ops, block, samples, adjoint.lanes, s, x, table);
  });
}

template std::vector<LayerBlock> layer_blocks(const Graph<float>&);
template std::vector<LayerBlock> layer_blocks(const Graph<double>&);
template void cut_out(Ops<float>&, const LayerBlock&, const View<const float>&, float*);
template void cut_out(Ops<double>&, const LayerBlock&, const View<const double>&, double*);
template void put_back(Ops<float>&, const LayerBlock&, const float*, const View<float>&);
template void put_back(Ops<double>&, const LayerBlock&, const double*, const View<double>&);
template void add_input_factor(Tape<float>&, const LayerBlock&, float*);
template void add_input_factor(Tape<double>&, const LayerBlock&, double*);
template void add_output_factor(Tape<float>&, const LayerBlock&, const View<float>&, double, float*);
template void add_output_factor(Tape<double>&, const LayerBlock&, const View<double>&, double, double*);
template void add_squares(Tape<float>&, const LayerBlock&, const View<float>&, const float*, const float*, float*);
template void add_squares(Tape<double>&, const LayerBlock&, const View<double>&, const double*, const double*, double*);

}  // namespace hso::detail
