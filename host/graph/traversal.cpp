// SPDX-License-Identifier: Apache-2.0
#include "graph/traversal.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"

namespace hso::detail {

template <class T>
Traversal<T>::Traversal(Context& c, const Graph<T>& g, Index n, Index k, bool both_ways)
    : context(c),
      ops(c.ops<T>()),
      graph(g),
      batch(n),
      lanes(k),
      adjoints(both_ways),
      plan(plan_tape(g, n, {k > 0, both_ways})),
      place(place_tape(plan, g.parameter_count(), n, k, c.is_cuda())),
      memory(c, place.elements),
      theta(memory.data() + place.theta),
      weights(memory.data() + place.weights),
      saved(c, plan.saved_bytes),
      step(c, 1),
      rows(c, plan.row_numbers),
      own_statistics(c, 2 * static_cast<Index>(g.statistics().size())),
      statistics(own_statistics.data()),
      next_statistics(statistics + g.statistics().size()),
      recorded_forward_(c.make_recorded()),
      recorded_product_(c.make_recorded()) {
  const std::uint64_t zero = 0;
  c.to_device(&zero, step.data(), sizeof zero);
  std::vector<Index> numbers(static_cast<std::size_t>(plan.row_numbers));
  std::iota(numbers.begin(), numbers.end(), Index{0});
  rows.upload(numbers);
  ops.fill(n, T(0), weights);
  const std::vector<T> start(g.statistics().begin(), g.statistics().end());
  own_statistics.upload(start);
  make_slots();
}

template <class T>
void Traversal<T>::make_slots() {
  using Kind = typename Graph<T>::Kind;
  T* values = memory.data() + place.values;
  slots.resize(plan.nodes.size());
  wanted_.resize(plan.nodes.size());
  for (Node i = 0; i < static_cast<Node>(slots.size()); ++i) {
    const NodePlan& own = node_plan(i);
    const NodePlan& root = node_plan(own.root);
    Slot& s = slot(i);
    if (!own.live) continue;
    const bool parameter = graph[own.root].kind == Kind::parameter;
    s.y = {(parameter ? theta : values) + root.value, own.shape, 1, own.size};
    if (own.adjoint >= 0) s.dy.view = {values + own.adjoint, own.shape, 1, own.size};
    if (own.saved >= 0) s.saved = saved.data() + own.saved;
    if (own.kept >= 0) s.kept = memory.data() + place.pool + own.kept * lanes;
    for (Node in : graph[i].inputs) s.x.push_back(slot(in).y);
  }
  // d(sum_n w_n loss_n)/d loss_n = w_n: the loss node's adjoint is the weights.
  slot(graph.loss_node()).dy.view = {weights, Shape{batch}, 1, batch};
}

template <class T>
Point<T> Traversal<T>::point(Node node) {
  Slot& s = slot(node);
  return {s.x,    s.y,     s.saved,    step.data(),    trained_, graph[node].batched ? rows.data() : nullptr,
          s.kept, weights, statistics, next_statistics};
}

template <class T>
void Traversal<T>::run_forward(const T* at, T* g, bool backward, bool add) {
  if (at == nullptr) throw UsageError("Tape: theta is null");
  const InUse in_use(context);
  if (at != theta) ops.copy(graph.parameter_count(), at, theta);
  trained_ = training;
  key_ = {reinterpret_cast<std::uintptr_t>(g), backward, add, training, context.arena().position()};
  recorded_forward_->run(key_, [&] {
    forward_pass();
    if (backward) backward_pass(g, add);
  });
  if (backward) restore_reached();
}

template <class T>
void Traversal<T>::keep_reached() {
  reached_.clear();
  for (const Slot& s : slots) reached_.push_back(s.dy.written);
}

/// A replay writes what the recorded pass wrote, and knows nothing of a pass since then that an error ended midway.
template <class T>
void Traversal<T>::restore_reached() {
  for (Node i : plan.order) slot(i).dy.written = reached_[static_cast<std::size_t>(i)] != 0;
}

template <class T>
double Traversal<T>::loss() {
  return ops.dot(batch, slot(graph.loss_node()).y.data, weights);
}

template <class T>
void Traversal<T>::loss_on_device(double* value) {
  ops.dots_on_device(1, batch, slot(graph.loss_node()).y.data, batch, weights, batch, value);
}

template <class T>
void Traversal<T>::forward_pass() {
  for (Node i : plan.order) graph[i].op->forward(ops, point(i));
}

template <class T>
void Traversal<T>::gather_sinks(Node node, Accumulator<T> Slot::*which) {
  sinks_.clear();
  for (Node in : graph[node].inputs) {
    const NodePlan& p = node_plan(in);
    Accumulator<T>& a = slot(p.root).*which;
    const bool wanted = wanted_[static_cast<std::size_t>(p.root)] != 0 && a.view;
    sinks_.push_back(wanted ? Sink<T>(a, p.shape) : Sink<T>());
  }
}

template <class T>
void Traversal<T>::clear(const View<T>& v) {
  ops.for_each(v.lanes, v.size(), Fill<T>{v.data, v.lane_stride, T(0)});
}

template <class T>
void Traversal<T>::clear_unwritten(Accumulator<T> Slot::*which) {
  for (Node leaf : plan.leaves) {
    Accumulator<T>& a = slot(leaf).*which;
    if (a.view && !a.written) clear(a.view);
  }
}

template <class T>
void Traversal<T>::backward_pass(T* g, bool add) {
  if (g != nullptr && !add && !plan.partition) ops.fill(graph.parameter_count(), T(0), g);
  for (Node i = 0; i < static_cast<Node>(slots.size()); ++i) {
    slot(i).dy.written = false;
    wanted_[static_cast<std::size_t>(i)] = node_plan(i).active;
  }
  for (Node leaf : plan.leaves) {
    const auto& info = graph[leaf];
    slot(leaf).dy = {g == nullptr ? View<T>{} : View<T>{g + info.offset, info.shape, 1, info.shape.size()},
                     g != nullptr && (add || !plan.partition)};
  }
  slot(graph.loss_node()).dy.written = true;
  for (auto it = plan.order.rbegin(); it != plan.order.rend(); ++it) {
    Slot& s = slot(*it);
    if (!s.dy.written) continue;
    gather_sinks(*it, &Slot::dy);
    graph[*it].op->backward(ops, point(*it), s.dy.view, sinks_);
  }
  keep_reached();
  clear_unwritten(&Slot::dy);
}

template <class T>
View<T> Traversal<T>::tangent(Node node) {
  const Accumulator<T>& a = slot(node_plan(node).root).Ry;
  return a.written ? a.view.reshaped(node_plan(node).shape) : View<T>{};
}

template <class T>
bool Traversal<T>::gather_tangents(Node node) {
  Rx_.clear();
  bool any = false;
  for (Node in : graph[node].inputs) {
    Rx_.push_back(tangent(in));
    any = any || Rx_.back();
  }
  return any;
}

template <class T>
void Traversal<T>::start_product(Span<const View<T>> tangents, Span<const View<T>> results, bool add) {
  T* pool = memory.data() + place.pool;
  Index k = 1;
  for (const auto& views : {tangents, results})
    for (const View<T>& v : views)
      if (v) k = v.lanes;
  for (Node i = 0; i < static_cast<Node>(slots.size()); ++i) {
    const NodePlan& p = node_plan(i);
    wanted_[static_cast<std::size_t>(i)] = 0;
    if (p.tangent < 0) continue;
    slot(i).Ry = {{pool + p.tangent * lanes, p.shape, k, p.size}, false};
    slot(i).Rdy = {{pool + p.tangent_adjoint * lanes, p.shape, k, p.size}, false};
  }
  for (std::size_t l = 0; l < plan.leaves.size(); ++l) {
    const Node leaf = plan.leaves[l];
    slot(leaf).Ry = {tangents[l], static_cast<bool>(tangents[l])};
    slot(leaf).Rdy = {results[l], add || !plan.partition};
    wanted_[static_cast<std::size_t>(leaf)] = static_cast<bool>(results[l]);
  }
  for (Node i = 0; i < static_cast<Node>(slots.size()); ++i)
    for (Node in : graph[i].inputs)
      if (wanted_[static_cast<std::size_t>(in)] != 0) wanted_[static_cast<std::size_t>(i)] = 1;
}

template <class T>
bool Traversal<T>::reads_first(Node reader, Node node) const {
  return node_plan(graph[reader].inputs[0]).root == node;
}

/// An op may leave a part of its tangent to the very next one: nobody sees the tangent in between. Returns what is left
/// to the loss, which completes its tangent on the way back; the empirical Fisher asks for it before.
template <class T>
Remainder<T> Traversal<T>::tangent_pass(Curvature kind, T* room) {
  Remainder<T> left;
  for (auto it = plan.order.begin(); it != plan.order.end(); ++it) {
    const Node i = *it;
    if (i == graph.loss_node()) break;  // what comes behind is made of it, or feeds the output alone
    if (!gather_tangents(i)) continue;
    const Op<T>& op = *graph[i].op;
    const Sink<T> Ry(slot(i).Ry, node_plan(i).shape);
    const auto next = it + 1;
    if (left.bias) {
      op.complete_jvp(ops, point(i), left, Rx_[0], Ry);
      left = {};
    } else if (graph[*next].op->completes_tangents() && reads_first(*next, i) &&
               (kind != Curvature::fisher_empirical || *next != graph.loss_node())) {
      left.room = room;
      op.begin_jvp(ops, point(i), Rx_, Ry, left);
    } else {
      op.jvp(ops, point(i), Rx_, Ry);
    }
  }
  return left;
}

/// Rdz of the empirical Fisher: a sample's loss gradient times w_n times its directional derivative.
template <class T>
void Traversal<T>::fisher_seed() {
  const Node i = graph.loss_node();
  if (!gather_tangents(i)) return;
  const Index k = Rx_[0].lanes;
  Scratch scratch(context);
  Accumulator<T> along{{scratch.take<T>(k * batch), Shape{batch}, k, batch}, false};
  graph[i].op->jvp(ops, point(i), Rx_, Sink<T>(along, Shape{batch}));
  ops.for_each(k, batch, Scale<T>{weights, along.view.data, batch, along.view.data, batch, false});
  graph[i].op->vjp(ops, point(i), along.view, sinks_);
}

/// Rdy unless nothing was added to it, and what `cross` needs unless this curvature has no such term here.
template <class T>
ReverseArgs<T> Traversal<T>::reverse_args(Node i, Curvature kind) {
  const Slot& s = slot(i);
  const bool is_loss = i == graph.loss_node();
  ReverseArgs<T> r;
  if (!is_loss && s.Rdy.written) r.Rdy = s.Rdy.view;
  const bool curved = is_loss || (kind == Curvature::hessian && s.dy.written);
  if (curved && gather_tangents(i)) {
    r.dy = s.dy.view;
    r.Rx = Rx_;
    if (!is_loss) r.Ry = tangent(i);
  }
  return r;
}

/// An op may leave a part of an adjoint to the op before it, if that is where the adjoint goes: all that is added to
/// it later on the graph was added before.
template <class T>
void Traversal<T>::reverse_tangent_pass(Curvature kind, T* room, const Remainder<T>& lacking) {
  Remainder<T> left{room, false, {}};
  for (auto it = plan.order.rbegin(); it != plan.order.rend(); ++it) {
    const Node i = *it;
    gather_sinks(i, &Slot::Rdy);
    if (std::none_of(sinks_.begin(), sinks_.end(), [](const Sink<T>& x) { return static_cast<bool>(x); })) continue;
    if (kind == Curvature::fisher_empirical && i == graph.loss_node()) {
      fisher_seed();
      continue;
    }
    ReverseArgs<T> r = reverse_args(i, kind);
    if (i == graph.loss_node() && lacking.bias) r.lacking = &lacking;
    if (std::exchange(left.in_room, false)) r.more = left.room;
    const auto before = it + 1;
    if (room != nullptr && before != plan.order.rend() && graph[*before].op->completes_tangents() &&
        reads_first(i, *before))
      r.left = &left;
    graph[i].op->reverse(ops, point(i), r, sinks_);
  }
}

template <class T>
void Traversal<T>::launch_product(Curvature kind, Span<const View<T>> tangents, Span<const View<T>> results, bool add,
                                  const T* copied, T* room) {
  const InUse in_use(context);
  key_ = {static_cast<std::uintptr_t>(kind), add, context.arena().position(), reinterpret_cast<std::uintptr_t>(copied),
          trained_};
  for (const auto& views : {tangents, results})
    for (const View<T>& v : views) {
      key_.insert(key_.end(), {reinterpret_cast<std::uintptr_t>(v.data), static_cast<std::uintptr_t>(v.lane_stride),
                               static_cast<std::uintptr_t>(v.lanes), reinterpret_cast<std::uintptr_t>(v.one_hot)});
    }
  recorded_product_->run(key_, [&] {
    if (copied != nullptr) copy_direction(copied);
    start_product(tangents, results, add);  // here: a capture that is refused launches again, from a clean start
    if (!add && !plan.partition)
      for (const View<T>& r : results)
        if (r) clear(r);
    reverse_tangent_pass(kind, room, tangent_pass(kind, room));
    clear_unwritten(&Slot::Rdy);
  });
}

/// An address that differs from the last product's is taken for one that differs every time, such as a new vector of a
/// Krylov basis: recorded launches work on scratch at a fixed place instead, for a copy of the vectors.
template <class T>
void Traversal<T>::run_product(Curvature kind, const View<const T>& v, const View<T>& hv, bool add) {
  const bool moved_v = std::exchange(last_v_, v.data) != v.data && replays();
  const bool moved_hv = std::exchange(last_hv_, hv.data) != hv.data && replays();
  const Index n = v.size(), k = v.lanes;
  Scratch scratch(context);
  View<const T> from = v;
  const T* copied = nullptr;
  if (replays() && k == 1) {
    if (moved_v)
      copy_direction(v.data);
    else
      copied = v.data;
    from = vector_view<const T>(memory.data() + place.direction, n);
  } else if (moved_v) {
    T* fixed = scratch.take<T>(k * n);
    ops.for_each(k, n, Axpby<T>{T(1), v.data, v.lane_stride, T(0), fixed, n});
    from = vector_view<const T>(fixed, n, k);
  }
  if (!moved_hv) return product_at(kind, from, hv, add, copied);
  const View<T> to = vector_view(scratch.take<T>(k * n), n, k);
  product_at(kind, from, to, false, copied);
  ops.for_each(k, n, Axpby<T>{T(1), to.data, n, add ? T(1) : T(0), hv.data, hv.lane_stride});
}

template <class T>
void Traversal<T>::copy_direction(const T* v) {
  ops.copy(graph.parameter_count(), v, memory.data() + place.direction);
}

/// Entries of hv that no leaf holds are zero, and leaves that overlap add up.
template <class T>
void Traversal<T>::product_at(Curvature kind, const View<const T>& v, const View<T>& hv, bool add, const T* copied) {
  if (!add && !plan.partition) clear(hv);
  tangents_.clear();
  results_.clear();
  for (Node leaf : plan.leaves) {
    const auto& info = graph[leaf];
    // The rules take View<T>; they never write to a tangent.
    tangents_.push_back({const_cast<T*>(v.data) + info.offset, info.shape, v.lanes, v.lane_stride});
    results_.push_back({hv.data + info.offset, info.shape, hv.lanes, hv.lane_stride});
  }
  T* room = replays() && v.data == memory.data() + place.direction ? memory.data() + place.room : nullptr;
  launch_product(kind, Span<const View<T>>(tangents_), Span<const View<T>>(results_), add || !plan.partition, copied,
                 room);
}

template struct Traversal<float>;
template struct Traversal<double>;

}  // namespace hso::detail
