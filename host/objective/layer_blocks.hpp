// SPDX-License-Identifier: Apache-2.0
//
// The layers of a network as blocks of theta, and sums over a batch that Kronecker factors and exact diagonals need.
// In a block, xbar_t [inputs, and 1 for the bias] is the column that the layer multiplies at position t, and s_t the
// adjoint of its output there; lanes k of s are columns of the loss' root or one gradient, scaled by sqrt(w_n).
#pragma once

#include <vector>

#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/tape.hpp"

namespace hso::detail {

/// One group of a layer that multiplies by a weight. Its matrix is [outputs][inputs and 1 for the bias], or, where the
/// sizes say `transposed`, [inputs][outputs].
struct LayerBlock {
  Node layer, weight_node;
  Index group;
  ProductSizes sizes;
  bool bias;
  Index weight, bias_offset;  ///< where the group's slices of theta start

  Index inputs() const { return sizes.inputs + (bias ? 1 : 0); }
  Index outputs() const { return sizes.outputs; }
  Index rows() const { return sizes.transposed ? inputs() : outputs(); }
  Index columns() const { return sizes.transposed ? outputs() : inputs(); }
  Index size() const { return rows() * columns(); }
};

/// UsageError names a parameter that is not the weight or bias of exactly one such product.
template <class T>
std::vector<LayerBlock> layer_blocks(const Graph<T>& graph);

/// m[lanes][rows][columns] of the block from vectors of theta's length, and back: weights, then the bias as last
/// column.
template <class T>
void cut_out(Ops<T>& ops, const LayerBlock& block, const View<const T>& theta, T* m);
template <class T>
void put_back(Ops<T>& ops, const LayerBlock& block, const T* m, const View<T>& theta);

/// a[inputs][inputs] += sum_n w_n sum_t xbar xbar'
template <class T>
void add_input_factor(Tape<T>& tape, const LayerBlock& block, T* a);

/// b[outputs][outputs] += alpha sum_{n,t,k} s s'
template <class T>
void add_output_factor(Tape<T>& tape, const LayerBlock& block, const View<T>& adjoint, double alpha, T* b);

/// table[rows][columns] += sum_{n,k} (Qb (sum_t s xbar') Qa')^2, elementwise (transposed: xbar s'); Qa is that of the
/// columns; null is the identity.
template <class T>
void add_squares(Tape<T>& tape, const LayerBlock& block, const View<T>& adjoint, const T* qa, const T* qb, T* table);

}  // namespace hso::detail
