// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "objective/adjoint_walk.hpp"
#include "objective/kronecker_state.hpp"
#include "objective/network_curvature.hpp"

namespace hso::detail {
namespace {

void require_source(Curvature source, const char* what, const char* expected) {
  if (source != Curvature::ggn && source != Curvature::fisher_mc && source != Curvature::fisher_empirical)
    throw UsageError(fmt::format("{}: source {}, expected {}", what, name_of(source), expected));
}

/// Factors, eigenvectors and tables of all blocks, before the first of them is made.
template <class T>
void require_room(MicroBatches<T>& batches, const std::vector<LayerBlock>& blocks) {
  Index numbers = 0;
  for (const LayerBlock& b : blocks)
    numbers += 2 * (checked_multiply(b.columns(), b.columns()) + checked_multiply(b.rows(), b.rows())) + b.size();
  const double each = static_cast<double>(numbers) / static_cast<double>(batches.n());
  require_memory(batches.context, "kfac: factors, their eigenvectors and eigenvalues", batches.n(), [&](Index n) {
    return static_cast<Index>(each * static_cast<double>(n)) * static_cast<Index>(sizeof(T));
  });
}

template <class T>
std::vector<LayerBlock> places(const KroneckerState<T>& state) {
  std::vector<LayerBlock> out;
  for (const auto& block : state.blocks) out.push_back(block.place);
  return out;
}

/// One micro-batch's share of the factors.
template <class T>
void add_factors(AdjointWalk<T>& walk, Tape<T>& tape, Index micro_batch, KroneckerState<T>& state) {
  const std::vector<LayerBlock> blocks = places(state);
  for (auto& block : state.blocks)
    if (tape.traversal().node_plan(block.place.layer).live)
      add_input_factor(tape, block.place, (block.place.sizes.transposed ? block.b : block.a).data());
  walk.adjoints(tape, micro_batch, [&](Node layer, const View<T>& adjoint) {
    each_block_of(blocks, layer, [&](const LayerBlock& place, std::size_t i) {
      const double alpha = 1 / static_cast<double>(place.sizes.positions * walk.draws());
      auto& block = state.blocks[i];
      add_output_factor(tape, place, adjoint, alpha, (place.sizes.transposed ? block.a : block.b).data());
    });
  });
}

/// tables[i] = 1/draws of the squares of block i in the bases that `basis(i)` gives.
template <class T, class Basis>
void fill_tables(AdjointWalk<T>& walk, const T* theta, Context& context, const std::vector<LayerBlock>& blocks,
                 const Basis& basis, const std::vector<T*>& tables) {
  auto& ops = context.ops<T>();
  for (std::size_t i = 0; i < blocks.size(); ++i) ops.fill(blocks[i].size(), T(0), tables[i]);
  walk.each_micro_batch(theta, [&](Tape<T>& tape, Index micro_batch) {
    walk.adjoints(tape, micro_batch, [&](Node layer, const View<T>& adjoint) {
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

/// The squares in the bases of a decomposed state.
template <class T>
void fill_tables(AdjointWalk<T>& walk, const T* theta, const KroneckerState<T>& state, const std::vector<T*>& tables) {
  const auto basis = [&](std::size_t i) {
    return std::pair<const T*, const T*>(state.blocks[i].qa.data(), state.blocks[i].qb.data());
  };
  fill_tables(walk, theta, state.context, places(state), basis, tables);
}

template <class T>
void clear_factors(KroneckerState<T>& state) {
  for (auto& block : state.blocks)
    for (Buffer<T>* factor : {&block.a, &block.b})
      state.context.template ops<T>().fill(factor->size(), T(0), factor->data());
}

}  // namespace

template <class T>
std::unique_ptr<KroneckerOperator<T>> kronecker_of(MicroBatches<T>& batches, const T* theta,
                                                   const KroneckerOptions& options) {
  require_source(options.source, options.corrected ? "ekfac" : "kfac", "ggn, fisher_mc or fisher_empirical");
  require_room(batches, layer_blocks(batches.network.graph));
  auto state = std::make_unique<KroneckerState<T>>(batches.context, batches.network.graph, options.corrected,
                                                   batches.options.weight_decay);
  AdjointWalk<T> walk(batches, options.source);
  walk.each_micro_batch(theta, [&](Tape<T>& tape, Index micro_batch) { add_factors(walk, tape, micro_batch, *state); });
  if (options.corrected) {
    state->decompose();
    std::vector<T*> tables;
    for (auto& block : state->blocks) tables.push_back(block.table.data());
    fill_tables(walk, theta, *state, tables);
  }
  return std::make_unique<KroneckerOperator<T>>(std::move(state));
}

template <class T>
void exact_diagonal_of(MicroBatches<T>& batches, const T* theta, Curvature source, T* d, std::uint64_t draw) {
  require_source(source, "diagonal", "ggn, fisher_mc, fisher_empirical or (estimated) hessian");
  if (const Op<T>* op = op_over_rows(batches.network.graph); batches.training && op != nullptr)
    throw UsageError(
        fmt::format("diagonal: in training the rows of a batch depend on each other through {}, expected rows that do "
                    "not; take an estimate from products: factors=hessian, or estimator=hutchinson of sophia",
                    op->name()));
  const std::vector<LayerBlock> blocks = layer_blocks(batches.network.graph);
  auto& ops = batches.ops;
  Scratch scratch(batches.context);
  std::vector<T*> tables;
  for (const LayerBlock& block : blocks) tables.push_back(scratch.take<T>(block.size()));
  AdjointWalk<T> walk(batches, source, draw);
  fill_tables(
      walk, theta, batches.context, blocks, [](std::size_t) { return std::pair<const T*, const T*>(nullptr, nullptr); },
      tables);
  for (std::size_t i = 0; i < blocks.size(); ++i) put_back<T>(ops, blocks[i], tables[i], vector_view(d, batches.n()));
  ops.for_each(1, batches.n(), AddDiagonal<T>{d, 0, static_cast<T>(batches.options.weight_decay)});
}

template <class T>
void factors_on_device(MicroBatches<T>& batches, Curvature source, std::uint64_t draw, KroneckerState<T>& fresh) {
  const double spent = batches.gradient_equivalents;
  clear_factors(fresh);
  AdjointWalk<T> walk(batches, source, draw);
  add_factors(walk, *batches.main_tape.tape, 0, fresh);
  batches.gradient_equivalents = spent;
}

template <class T>
double cost_of_factors(MicroBatches<T>& batches, Curvature source) {
  return AdjointWalk<T>(batches, source).cost(*batches.main_tape.tape);
}

template <class T>
double gradient_with_factors(MicroBatches<T>& batches, const T* theta, T* g, Curvature source, std::uint64_t draw,
                             KroneckerState<T>& fresh) {
  require_source(source, "kfac", "ggn, fisher_mc or fisher_empirical");
  clear_factors(fresh);
  AdjointWalk<T> walk(batches, source, draw);
  return batches.gradient(theta, g,
                          [&](Tape<T>& tape, Index micro_batch) { add_factors(walk, tape, micro_batch, fresh); });
}

template <class T>
void average_tables(MicroBatches<T>& batches, const T* theta, Curvature source, std::uint64_t draw, double keep,
                    KroneckerState<T>& state) {
  Scratch scratch(batches.context);
  std::vector<T*> tables;
  for (const auto& block : state.blocks) tables.push_back(scratch.take<T>(block.place.size()));
  AdjointWalk<T> walk(batches, source, draw);
  fill_tables(walk, theta, state, tables);
  for (std::size_t i = 0; i < tables.size(); ++i)
    batches.ops.axpby(state.blocks[i].place.size(), static_cast<T>(1 - keep), tables[i], static_cast<T>(keep),
                      state.blocks[i].table.data());
}

template std::unique_ptr<KroneckerOperator<float>> kronecker_of(MicroBatches<float>&, const float*,
                                                                const KroneckerOptions&);
template std::unique_ptr<KroneckerOperator<double>> kronecker_of(MicroBatches<double>&, const double*,
                                                                 const KroneckerOptions&);
template void exact_diagonal_of(MicroBatches<float>&, const float*, Curvature, float*, std::uint64_t);
template void exact_diagonal_of(MicroBatches<double>&, const double*, Curvature, double*, std::uint64_t);
template double gradient_with_factors(MicroBatches<float>&, const float*, float*, Curvature, std::uint64_t,
                                      KroneckerState<float>&);
template double gradient_with_factors(MicroBatches<double>&, const double*, double*, Curvature, std::uint64_t,
                                      KroneckerState<double>&);
template void factors_on_device(MicroBatches<float>&, Curvature, std::uint64_t, KroneckerState<float>&);
template void factors_on_device(MicroBatches<double>&, Curvature, std::uint64_t, KroneckerState<double>&);
template double cost_of_factors(MicroBatches<float>&, Curvature);
template double cost_of_factors(MicroBatches<double>&, Curvature);
template void average_tables(MicroBatches<float>&, const float*, Curvature, std::uint64_t, double,
                             KroneckerState<float>&);
template void average_tables(MicroBatches<double>&, const double*, Curvature, std::uint64_t, double,
                             KroneckerState<double>&);

}  // namespace hso::detail
