// SPDX-License-Identifier: Apache-2.0
//
// The loops of a tape that see the adjoints of its product layers: Kronecker factors and exact diagonals.
#include <algorithm>

#include "graph/traversal.hpp"
#include "hsogpu/detail/arena.hpp"

namespace hso::detail {

/// Results are wanted at product layers alone: what lies before the first of them is never visited.
template <class T>
void Traversal<T>::start_adjoints(Index count) {
  for (Node i = 0; i < static_cast<Node>(slots.size()); ++i) {
    const NodePlan& p = node_plan(i);
    const auto& info = graph[i];
    bool wanted = info.op && info.op->as_product() != nullptr;
    for (Node in : info.inputs) wanted = wanted || wanted_[static_cast<std::size_t>(in)] != 0;
    wanted_[static_cast<std::size_t>(i)] = wanted;
    slot(i).Rdy =
        p.tangent < 0
            ? Accumulator<T>{}
            : Accumulator<T>{{memory.data() + place.pool + p.tangent_adjoint * lanes, p.shape, count, p.size}, false};
  }
}

template <class T>
void Traversal<T>::seed_adjoints(bool gradient, Index first, Index count) {
  const Node i = graph.loss_node();
  gather_sinks(i, &Slot::Rdy);
  if (!sinks_[0]) return;
  if (!gradient) return graph[i].op->sqrt_hessian(ops, point(i), weights, first, sinks_[0]);
  Scratch scratch(context);
  const View<T> roots{scratch.take<T>(batch), Shape{batch}, count, batch};
  ops.for_each(batch, 1, SampleRoots<T>{weights, roots.data, 1});
  graph[i].op->vjp(ops, point(i), roots, sinks_);
}

template <class T>
void Traversal<T>::run_adjoints(bool gradient, Index first, Index count, const Visit& visit) {
  const InUse in_use(context);
  start_adjoints(count);
  seed_adjoints(gradient, first, count);
  for (auto it = plan.order.rbegin(); it != plan.order.rend(); ++it) {
    const Node i = *it;
    Slot& s = slot(i);
    if (i == graph.loss_node() || !s.Rdy.written) continue;
    if (graph[i].op->as_product() != nullptr) visit(i, s.Rdy.view);
    gather_sinks(i, &Slot::Rdy);
    if (std::any_of(sinks_.begin(), sinks_.end(), [](const Sink<T>& x) { return static_cast<bool>(x); }))
      graph[i].op->vjp(ops, point(i), s.Rdy.view, sinks_);
  }
}

template void Traversal<float>::run_adjoints(bool, Index, Index, const Visit&);
template void Traversal<double>::run_adjoints(bool, Index, Index, const Visit&);

}  // namespace hso::detail
