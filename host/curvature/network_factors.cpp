// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "curvature/kronecker_state.hpp"
#include "curvature/network_curvature.hpp"
#include "graph/traversal.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/linalg.hpp"

namespace hso::detail {
namespace {

void require_source(Curvature source, const char* what, const char* expected) {
  if (source != Curvature::ggn && source != Curvature::fisher_mc && source != Curvature::fisher_empirical)
    throw UsageError(fmt::format("{}: source {}, expected {}", what, name_of(source), expected));
}

/// Factors, eigenvectors and tables of all blocks, before the first of them is made.
template <class T>
void require_room(NetworkPieces<T>& pieces, const std::vector<LayerBlock>& blocks) {
  Index numbers = 0;
  for (const LayerBlock& b : blocks)
    numbers += 2 * (checked_multiply(b.columns(), b.columns()) + checked_multiply(b.rows(), b.rows())) + b.size();
  const double each = static_cast<double>(numbers) / static_cast<double>(pieces.n());
  require_memory(pieces.context, "kfac: factors, their eigenvectors and eigenvalues", pieces.n(), [&](Index n) {
    return static_cast<Index>(each * static_cast<double>(n)) * static_cast<Index>(sizeof(T));
  });
}

/// The adjoints of every layer's output, lanes at a time, that belong to a source of curvature.
template <class T>
class AdjointWalk {
 public:
  AdjointWalk(NetworkPieces<T>& pieces, const T* theta, Curvature source)
      : pieces_(pieces), theta_(theta), source_(source) {}
  Index draws() const { return source_ == Curvature::fisher_mc ? pieces_.options.fisher_draws : 1; }

  /// body(tape) at every piece.
  template <class Body>
  void each_piece(const Body& body) {
    for (Index piece = 0; piece < pieces_.pieces(); ++piece)
      body(pieces_.linearize(piece, theta_, Linearization::for_ggn), piece);
  }
  /// visit(layer, adjoint) for all lanes of all draws of a piece that each_piece stands at.
  template <class Visit>
  void adjoints(Tape<T>& tape, Index piece, const Visit& visit) {
    if (source_ == Curvature::ggn) return roots(tape, piece, visit);
    for (Index draw = 0; draw < draws(); ++draw) {
      if (source_ == Curvature::fisher_mc) pieces_.draw_targets(tape, piece, draw);
      pieces_.count(kSweepCost, pieces_.rows_of(piece));
      tape.traversal().run_adjoints(true, 0, 1, visit);
    }
  }

 private:
  template <class Visit>
  void roots(Tape<T>& tape, Index piece, const Visit& visit) {
    const Node loss = tape.graph().loss_node();
    const Index columns = tape.graph()[tape.graph()[loss].inputs[0]].shape.size();
    pieces_.count(kSweepCost * static_cast<double>(columns), pieces_.rows_of(piece));
    for (Index first = 0; first < columns; first += tape.lanes())
      tape.traversal().run_adjoints(false, first, std::min(tape.lanes(), columns - first), visit);
  }

  NetworkPieces<T>& pieces_;
  const T* theta_;
  Curvature source_;
};

/// body(place, i) for the blocks of one layer.
template <class Body>
void each_block_of(const std::vector<LayerBlock>& blocks, Node layer, const Body& body) {
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].layer == layer) body(blocks[i], i);
}

template <class T>
std::vector<LayerBlock> places(const KroneckerState<T>& state) {
  std::vector<LayerBlock> out;
  for (const auto& block : state.blocks) out.push_back(block.place);
  return out;
}

template <class T>
void fill_factors(AdjointWalk<T>& walk, KroneckerState<T>& state) {
  const std::vector<LayerBlock> blocks = places(state);
  walk.each_piece([&](Tape<T>& tape, Index piece) {
    for (auto& block : state.blocks)
      if (tape.traversal().node_plan(block.place.layer).live) add_input_factor(tape, block.place, block.a.data());
    walk.adjoints(tape, piece, [&](Node layer, const View<T>& adjoint) {
      each_block_of(blocks, layer, [&](const LayerBlock& place, std::size_t i) {
        const double alpha = 1 / static_cast<double>(place.sizes.positions * walk.draws());
        add_output_factor(tape, place, adjoint, alpha, state.blocks[i].b.data());
      });
    });
  });
}

/// tables[i] = 1/draws of the squares of block i in the bases that `basis(i)` gives.
template <class T, class Basis>
void fill_tables(AdjointWalk<T>& walk, Context& context, const std::vector<LayerBlock>& blocks, const Basis& basis,
                 const std::vector<T*>& tables) {
  auto& ops = context.ops<T>();
  for (std::size_t i = 0; i < blocks.size(); ++i) ops.fill(blocks[i].size(), T(0), tables[i]);
  walk.each_piece([&](Tape<T>& tape, Index piece) {
    walk.adjoints(tape, piece, [&](Node layer, const View<T>& adjoint) {
      each_block_of(blocks, layer, [&](const LayerBlock& place, std::size_t i) {
        const auto [qa, qb] = basis(i);
        add_squares(tape, place, adjoint, qa, qb, tables[i]);
      });
    });
  });
  if (walk.draws() == 1) return;
  const T share = T(1) / static_cast<T>(walk.draws());
  for (std::size_t i = 0; i < blocks.size(); ++i) ops.axpby(blocks[i].size(), T(0), tables[i], share, tables[i]);
}

}  // namespace

template <class T>
std::unique_ptr<KroneckerOperator<T>> kronecker_of(NetworkPieces<T>& pieces, const T* theta,
                                                   const KroneckerOptions& options) {
  require_source(options.source, options.corrected ? "ekfac" : "kfac", "ggn, fisher_mc or fisher_empirical");
  require_room(pieces, layer_blocks(pieces.network.graph));
  auto state = std::make_unique<KroneckerState<T>>(pieces.context, pieces.network.graph, options.corrected,
                                                   pieces.options.weight_decay);
  AdjointWalk<T> walk(pieces, theta, options.source);
  fill_factors(walk, *state);
  if (options.corrected) {
    state->decompose();
    std::vector<T*> tables;
    for (auto& block : state->blocks) tables.push_back(block.table.data());
    const auto basis = [&](std::size_t i) {
      return std::pair<const T*, const T*>(state->blocks[i].qa.data(), state->blocks[i].qb.data());
    };
    fill_tables(walk, pieces.context, places(*state), basis, tables);
  }
  return std::make_unique<KroneckerOperator<T>>(std::move(state));
}

template <class T>
void exact_diagonal_of(NetworkPieces<T>& pieces, const T* theta, Curvature source, T* d) {
  require_source(source, "diagonal", "ggn, fisher_mc, fisher_empirical or (estimated) hessian");
  const std::vector<LayerBlock> blocks = layer_blocks(pieces.network.graph);
  auto& ops = pieces.ops;
  Scratch scratch(pieces.context);
  std::vector<T*> tables;
  for (const LayerBlock& block : blocks) tables.push_back(scratch.take<T>(block.size()));
  AdjointWalk<T> walk(pieces, theta, source);
  fill_tables(
      walk, pieces.context, blocks, [](std::size_t) { return std::pair<const T*, const T*>(nullptr, nullptr); },
      tables);
  for (std::size_t i = 0; i < blocks.size(); ++i) put_back<T>(ops, blocks[i], tables[i], vector_view(d, pieces.n()));
  ops.for_each(1, pieces.n(), AddDiagonal<T>{d, 0, static_cast<T>(pieces.options.weight_decay)});
}

template std::unique_ptr<KroneckerOperator<float>> kronecker_of(NetworkPieces<float>&, const float*,
                                                                const KroneckerOptions&);
template std::unique_ptr<KroneckerOperator<double>> kronecker_of(NetworkPieces<double>&, const double*,
                                                                 const KroneckerOptions&);
template void exact_diagonal_of(NetworkPieces<float>&, const float*, Curvature, float*);
template void exact_diagonal_of(NetworkPieces<double>&, const double*, Curvature, double*);

}  // namespace hso::detail
