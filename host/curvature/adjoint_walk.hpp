// SPDX-License-Identifier: Apache-2.0
//
// The adjoints of every layer's output, lanes at a time, that belong to a source of curvature.
#pragma once

#include <algorithm>
#include <vector>

#include "curvature/layer_blocks.hpp"
#include "curvature/network_pieces.hpp"
#include "graph/traversal.hpp"
#include "hsogpu/interrupt.hpp"

namespace hso::detail {

template <class T>
class AdjointWalk {
 public:
  /// fisher_mc draws targets from number `first_draw` on.
  AdjointWalk(NetworkPieces<T>& pieces, Curvature source, std::uint64_t first_draw = 0)
      : pieces_(pieces), source_(source), first_draw_(first_draw) {}
  Index draws() const { return source_ == Curvature::fisher_mc ? pieces_.options.fisher_draws : 1; }

  /// Of `adjoints`, in gradients of the piece.
  double cost(const Tape<T>& tape) const {
    return kSweepCost * static_cast<double>(source_ == Curvature::ggn ? columns(tape) : draws());
  }

  /// body(tape, piece) at every piece, forward pass done.
  template <class Body>
  void each_piece(const T* theta, const Body& body) {
    for (Index piece = 0; piece < pieces_.pieces(); ++piece)
      body(pieces_.linearize(piece, theta, Linearization::for_ggn), piece);
  }
  /// visit(layer, adjoint) for all lanes of all draws of a piece whose forward pass the tape holds.
  template <class Visit>
  void adjoints(Tape<T>& tape, Index piece, const Visit& visit) {
    if (source_ == Curvature::ggn) return roots(tape, piece, visit);
    for (Index draw = 0; draw < draws(); ++draw) {
      if (source_ == Curvature::fisher_mc)
        pieces_.draw_targets(tape, piece, first_draw_ + static_cast<std::uint64_t>(draw));
      check_interrupted();
      pieces_.count(kSweepCost, pieces_.rows_of(piece));
      tape.traversal().run_adjoints(true, 0, 1, visit);
    }
  }

 private:
  template <class Visit>
  void roots(Tape<T>& tape, Index piece, const Visit& visit) {
    pieces_.count(cost(tape), pieces_.rows_of(piece));
    const Index all = columns(tape);
    for (Index first = 0; first < all; first += tape.lanes()) {
      check_interrupted();
      tape.traversal().run_adjoints(false, first, std::min(tape.lanes(), all - first), visit);
    }
  }
  static Index columns(const Tape<T>& tape) {
    return tape.graph()[tape.graph()[tape.graph().loss_node()].inputs[0]].shape.size();
  }

  NetworkPieces<T>& pieces_;
  Curvature source_;
  std::uint64_t first_draw_;
};

/// body(place, i) for the blocks of one layer.
template <class Body>
void each_block_of(const std::vector<LayerBlock>& blocks, Node layer, const Body& body) {
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].layer == layer) body(blocks[i], i);
}

}  // namespace hso::detail
