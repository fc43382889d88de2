// SPDX-License-Identifier: Apache-2.0
//
// What a KroneckerOperator holds. Matrices are on the device; q rows are eigenvectors.
#pragma once

#include "hsogpu/core/state.hpp"
#include "hsogpu/objective/kronecker.hpp"
#include "objective/layer_blocks.hpp"

namespace hso::detail {

template <class T>
struct KroneckerState {
  struct Block {
    LayerBlock place;
    Buffer<T> a, b;    ///< the factors
    Buffer<T> qa, qb;  ///< their eigenvectors, empty before decompose
    Buffer<T> table;   ///< [rows][columns], the eigenvalues
  };

  KroneckerState(Context& c, const Graph<T>& g, bool correct, double weight_decay);

  const Block& block(Index i) const;  ///< UsageError for one that is not there
  /// NumericalError names the layer whose factor has no eigendecomposition. Allocates the first time alone.
  void decompose();
  /// The table from the factors' eigenvalues; returns its largest entry.
  double set_eigenvalues(Block& block, Span<const double> a, Span<const double> b);

  void visit_state(StateVisitor& state);

  /// kv = left x right of the pairs (left, right) that matrices(i) gives for block i.
  using Pair = std::pair<const T*, const T*>;
  void multiply(const View<const T>& v, const View<T>& kv, const std::function<Pair(std::size_t)>& matrices);
  /// kv = the blocks times v.
  void multiply_factors(const View<const T>& v, const View<T>& kv);
  /// The same in the eigenbasis, with tables[i] for the eigenvalues of block i.
  void multiply_spectrum(const View<const T>& v, const View<T>& kv, const std::vector<const T*>& tables);

  Context& context;
  const Graph<T>& graph;
  StateVersion factors_version, basis_version;  ///< of a and b; of qa, qb and table
  bool corrected, decomposed = false;
  double decay;
  std::vector<Block> blocks;
};

}  // namespace hso::detail
