// SPDX-License-Identifier: Apache-2.0
#include "graph/tape_plan.hpp"

#include <algorithm>

#include "hsogpu/detail/op.hpp"

namespace hso::detail {
namespace {

constexpr Index kAlign = 64;  // elements: every buffer starts on a 256-byte line in float
Index aligned(Index n) { return (n + kAlign - 1) / kAlign * kAlign; }

template <class T>
void mark_live(const Graph<T>& graph, TapePlan& plan) {
  using Kind = typename Graph<T>::Kind;
  for (Node top : {graph.loss_node(), graph.output_node()})
    if (top != kNoNode) plan.nodes[static_cast<std::size_t>(top)].live = true;
  for (Node i = static_cast<Node>(plan.nodes.size()) - 1; i >= 0; --i) {
    NodePlan& node = plan.nodes[static_cast<std::size_t>(i)];
    if (graph[i].kind != Kind::op) node.live = true;  // leaves can always be bound
    if (node.live)
      for (Node in : graph[i].inputs) plan.nodes[static_cast<std::size_t>(in)].live = true;
  }
}

template <class T>
void resolve(const Graph<T>& graph, Index batch, TapePlan& plan) {
  using Kind = typename Graph<T>::Kind;
  for (Node i = 0; i < static_cast<Node>(plan.nodes.size()); ++i) {
    const auto& info = graph[i];
    NodePlan& node = plan.nodes[static_cast<std::size_t>(i)];
    node.shape = info.batched ? info.shape.with_batch(batch) : info.shape;
    node.size = node.shape.size();
    node.root = i;
    if (info.kind == Kind::parameter) {
      node.active = true;
      node.value = info.offset;
      plan.leaves.push_back(i);
    }
    for (Node in : info.inputs) node.active = node.active || plan.nodes[static_cast<std::size_t>(in)].active;
    if (info.kind != Kind::op) continue;
    if (info.op->is_alias())
      node.root = plan.nodes[static_cast<std::size_t>(info.inputs[0])].root;
    else if (node.live)
      plan.order.push_back(i);
  }
}

template <class T>
std::vector<Shape> input_shapes(const Graph<T>& graph, const TapePlan& plan, Node node) {
  std::vector<Shape> shapes;
  for (Node in : graph[node].inputs) shapes.push_back(plan.nodes[static_cast<std::size_t>(in)].shape);
  return shapes;
}

template <class T>
void place_values(const Graph<T>& graph, bool adjoints, TapePlan& plan) {
  using Kind = typename Graph<T>::Kind;
  for (Node i = 0; i < static_cast<Node>(plan.nodes.size()); ++i) {
    NodePlan& node = plan.nodes[static_cast<std::size_t>(i)];
    const auto& info = graph[i];
    if (!node.live || node.root != i || info.kind == Kind::parameter) continue;
    node.value = plan.value_elements;
    plan.value_elements += aligned(node.size);
    if (node.active && adjoints) {
      node.adjoint = plan.value_elements;
      plan.value_elements += aligned(node.size);
    }
    if (info.kind != Kind::op) continue;
    const Index bytes = info.op->saved_bytes(input_shapes(graph, plan, i), node.shape);
    if (bytes == 0) continue;
    node.saved = plan.saved_bytes;
    plan.saved_bytes += aligned(bytes);
  }
}

struct Interval {
  Node node;
  Index NodePlan::*place;
  Index first, last, elements;
  Index offset = 0;
};

template <class T>
std::vector<Interval> lifetimes(const Graph<T>& graph, const TapePlan& plan) {
  using Kind = typename Graph<T>::Kind;
  const Index count = static_cast<Index>(plan.nodes.size());
  std::vector<Index> last_consumer(plan.nodes.size(), -1);
  for (Node i : plan.order)
    for (Node in : graph[i].inputs)
      last_consumer[static_cast<std::size_t>(plan.nodes[static_cast<std::size_t>(in)].root)] = i;
  std::vector<Interval> out;
  for (Node i = 0; i < count; ++i) {
    const NodePlan& node = plan.nodes[static_cast<std::size_t>(i)];
    if (!node.live || !node.active || node.root != i || graph[i].kind == Kind::parameter || i == graph.loss_node())
      continue;
    const Index end = 2 * count - 1 - i, consumer = last_consumer[static_cast<std::size_t>(i)];
    out.push_back({i, &NodePlan::tangent, i, end, aligned(node.size)});
    out.push_back(
        {i, &NodePlan::tangent_adjoint, consumer < 0 ? end : 2 * count - 1 - consumer, end, aligned(node.size)});
    if (graph[i].kind != Kind::op) continue;
    if (const Index kept = graph[i].op->kept_size(input_shapes(graph, plan, i), node.shape); kept > 0)
      out.push_back({i, &NodePlan::kept, i, end, aligned(kept)});
  }
  return out;
}

/// First fit in order of birth: each interval takes the lowest gap between those alive with it.
Index pack(std::vector<Interval>& intervals) {
  std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) { return a.first < b.first; });
  std::vector<const Interval*> alive;  // by offset
  Index total = 0;
  for (Interval& interval : intervals) {
    std::erase_if(alive, [&](const Interval* a) { return a->last < interval.first; });
    Index offset = 0;
    auto at = alive.begin();
    for (; at != alive.end() && (*at)->offset < offset + interval.elements; ++at)
      offset = (*at)->offset + (*at)->elements;
    interval.offset = offset;
    alive.insert(at, &interval);
    total = std::max(total, offset + interval.elements);
  }
  return total;
}

template <class T>
bool leaves_partition(const Graph<T>& g, const std::vector<Node>& leaves) {
  Index covered = 0;
  for (Node leaf : leaves) covered += g[leaf].shape.size();
  return covered == g.parameter_count() && !g.has_tied_parameters();
}

}  // namespace

TapeMemory place_tape(const TapePlan& plan, Index n, Index batch, Index lanes, bool replays) {
  Index widest = 0;
  for (const NodePlan& node : plan.nodes)
    if (node.tangent >= 0) widest = std::max(widest, node.size);
  TapeMemory at{};
  const bool recorded = replays && lanes > 0;
  at.theta = recorded ? aligned(n) : 0;
  at.weights = at.theta + aligned(n);
  at.values = at.weights + aligned(batch);
  at.pool = at.values + plan.value_elements;
  at.room = at.pool + checked_multiply(plan.pool_elements, lanes);
  at.elements = at.room + (recorded ? widest : 0);
  return at;
}

template <class T>
TapePlan plan_tape(const Graph<T>& graph, Index batch, const TapeRoom& room) {
  TapePlan plan;
  plan.nodes.resize(graph.nodes().size());
  mark_live(graph, plan);
  resolve(graph, batch, plan);
  place_values(graph, room.adjoints, plan);
  plan.partition = leaves_partition(graph, plan.leaves);
  if (std::ranges::any_of(plan.order, [&](Node i) { return graph[i].op->draws_by_row(); })) plan.row_numbers = batch;
  if (!room.tangents) return plan;
  std::vector<Interval> intervals = lifetimes(graph, plan);
  plan.pool_elements = pack(intervals);
  for (const Interval& interval : intervals)
    plan.nodes[static_cast<std::size_t>(interval.node)].*interval.place = interval.offset;
  return plan;
}

template TapePlan plan_tape(const Graph<float>&, Index, const TapeRoom&);
template TapePlan plan_tape(const Graph<double>&, Index, const TapeRoom&);

}  // namespace hso::detail
