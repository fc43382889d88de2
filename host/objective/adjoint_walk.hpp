// SPDX-License-Identifier: Apache-2.0
//
// The adjoints of every layer's output, lanes at a time, that belong to a source of curvature.
#pragma once

#include <algorithm>
#include <vector>

#include "graph/traversal.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "objective/layer_blocks.hpp"
#include "objective/micro_batches.hpp"

namespace hso::detail {

template <class T>
class AdjointWalk {
 public:
  /// fisher_mc draws targets from number `first_draw` on.
  AdjointWalk(MicroBatches<T>& batches, Curvature source, std::uint64_t first_draw = 0)
      : batches_(batches), source_(source), first_draw_(first_draw) {}
  Index draws() const { return source_ == Curvature::fisher_mc ? batches_.options.fisher_draws : 1; }

  /// Of `adjoints`, in gradients of the micro-batch.
  double cost(const Tape<T>& tape) const {
    return kSweepCost * static_cast<double>(source_ == Curvature::ggn ? columns(tape) : draws());
  }

  /// body(tape, micro-batch) at every micro-batch, forward pass done.
  template <class Body>
  void each_micro_batch(const T* theta, const Body& body) {
    for (Index micro_batch = 0; micro_batch < batches_.count(); ++micro_batch)
      body(batches_.linearize(micro_batch, theta, Linearization::for_ggn), micro_batch);
  }
  /// visit(layer, adjoint) for all lanes of all draws of a micro-batch whose forward pass the tape holds.
  template <class Visit>
  void adjoints(Tape<T>& tape, Index micro_batch, const Visit& visit) {
    if (source_ == Curvature::ggn) return roots(tape, micro_batch, visit);
    for (Index draw = 0; draw < draws(); ++draw) {
      if (source_ == Curvature::fisher_mc)
        batches_.draw_targets(tape, micro_batch, first_draw_ + static_cast<std::uint64_t>(draw));
      check_interrupted();
      batches_.charge(kSweepCost, batches_.rows_of(micro_batch));
      tape.traversal().run_adjoints(true, 0, 1, visit);
    }
  }

 private:
  template <class Visit>
  void roots(Tape<T>& tape, Index micro_batch, const Visit& visit) {
    batches_.charge(cost(tape), batches_.rows_of(micro_batch));
    const Index all = columns(tape);
    for (Index first = 0; first < all; first += tape.lanes()) {
      check_interrupted();
      tape.traversal().run_adjoints(false, first, std::min(tape.lanes(), all - first), visit);
    }
  }
  static Index columns(const Tape<T>& tape) {
    return tape.graph()[tape.graph()[tape.graph().loss_node()].inputs[0]].shape.size();
  }

  MicroBatches<T>& batches_;
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
