// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/graph/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/op.hpp"

namespace hso {

namespace {

using detail::BatchRule;

/// `carried`: whether each input has the batch as its first axis.
bool fits(BatchRule rule, const std::vector<bool>& carried) {
  const bool rest = std::find(carried.begin() + 1, carried.end(), true) != carried.end();
  switch (rule) {
    case BatchRule::first_may:
      return !rest;
    case BatchRule::first_must:
      return carried[0] && !rest;
    case BatchRule::all_equal:
      return std::equal(carried.begin() + 1, carried.end(), carried.begin());
    case BatchRule::all_must:
      return std::find(carried.begin(), carried.end(), false) == carried.end();
  }
  return false;
}

std::string expectation(BatchRule rule) {
  switch (rule) {
    case BatchRule::first_may:
      return "only the first input may depend on the data";
    case BatchRule::first_must:
      return "the first input, and no other, must depend on the data";
    case BatchRule::all_equal:
      return "all inputs must depend on the data, or none";
    case BatchRule::all_must:
      return "every input must depend on the data";
  }
  return "";
}

/// True when some parameter reaches the node.
template <class T>
bool depends_on_parameters(const Graph<T>& graph, Node node) {
  const auto& info = graph[node];
  return info.kind == Graph<T>::Kind::parameter ||
         std::any_of(info.inputs.begin(), info.inputs.end(), [&](Node in) { return depends_on_parameters(graph, in); });
}

}  // namespace

template <class T>
Graph<T>::Graph() = default;
template <class T>
Graph<T>::Graph(Graph&&) noexcept = default;
template <class T>
Graph<T>& Graph<T>::operator=(Graph&&) noexcept = default;
template <class T>
Graph<T>::~Graph() = default;

template <class T>
Node Graph<T>::add(NodeInfo info) {
  nodes_.push_back(std::move(info));
  return static_cast<Node>(nodes_.size()) - 1;
}

template <class T>
void Graph<T>::check(Node node, const char* where) const {
  if (node < 0 || node >= static_cast<Node>(nodes_.size()))
    throw InputError(fmt::format("{}: node {} is not in this graph of {} nodes", where, node, nodes_.size()));
}

template <class T>
Node Graph<T>::input(const Shape& sample_shape) {
  if (input_ != kNoNode) throw UsageError("Graph::input: this graph has its input already");
  return input_ = add({Kind::input, "input", sample_shape, true, 0, {}, nullptr});
}

template <class T>
Node Graph<T>::target(const Shape& sample_shape) {
  if (target_ != kNoNode) throw UsageError("Graph::target: this graph has its target already");
  return target_ = add({Kind::target, "target", sample_shape, true, 0, {}, nullptr});
}

template <class T>
Node Graph<T>::parameter(const std::string& name, const Shape& shape) {
  return parameter_at(name, shape, parameter_count_);
}

template <class T>
Node Graph<T>::parameter_at(const std::string& name, const Shape& shape, Index offset) {
  constexpr Index kMost = std::numeric_limits<Index>::max();
  if (offset < 0) throw UsageError(fmt::format("Graph::parameter_at {}: negative offset {}", name, offset));
  if (offset > kMost - shape.size())
    throw UsageError(fmt::format("Graph::parameter_at {}: {} numbers from offset {} on, more than 64 bits can count",
                                 name, shape.size(), offset));
  parameter_count_ = std::max(parameter_count_, offset + shape.size());
  return add({Kind::parameter, name, shape, false, offset, {}, nullptr});
}

template <class T>
Index Graph<T>::add_statistics(Index count, double start) {
  const Index first = static_cast<Index>(statistics_.size());
  statistics_.resize(static_cast<std::size_t>(first + count), start);
  return first;
}

template <class T>
void Graph<T>::set_statistics(const std::vector<double>& values) {
  if (values.size() != statistics_.size())
    throw InputError(fmt::format("Graph::set_statistics: found {} running statistics, expected {}", values.size(),
                                 statistics_.size()));
  statistics_ = values;
}

template <class T>
Node Graph<T>::apply(std::unique_ptr<detail::Op<T>> op, std::vector<Node> inputs) {
  std::vector<Shape> shapes;
  std::vector<bool> carried;
  for (Node i : inputs) {
    check(i, "Graph::apply");
    shapes.push_back((*this)[i].shape);
    carried.push_back((*this)[i].batched);
  }
  const Shape shape = op->infer(shapes);
  std::string name(op->name());
  if (!fits(op->batch_rule(), carried))
    throw InputError(fmt::format("{}: {}, parameters and what is computed from them alone do not", name,
                                 expectation(op->batch_rule())));
  const bool batched = std::find(carried.begin(), carried.end(), true) != carried.end();
  return add({Kind::op, std::move(name), shape, batched, 0, std::move(inputs), std::move(op)});
}

template <class T>
void Graph<T>::set_output(Node node) {
  check(node, "Graph::set_output");
  output_ = node;
}

template <class T>
void Graph<T>::set_loss(Node node) {
  check(node, "Graph::set_loss");
  if (!((*this)[node].shape == Shape{}))
    throw InputError(fmt::format("Graph::set_loss: {} gives {} for each sample, expected one number, []",
                                 (*this)[node].name, (*this)[node].shape.to_string()));
  const NodeInfo& info = (*this)[node];
  if (info.kind != Kind::op || !info.op->is_loss())
    throw InputError(fmt::format(
        "Graph::set_loss: {} is no loss; expected cross_entropy, squared_error, bce or as_loss", info.name));
  if (info.inputs.size() > 1 && depends_on_parameters(*this, info.inputs[1]))
    throw InputError(fmt::format("Graph::set_loss: the target of {} depends on parameters, expected data", info.name));
  loss_ = node;
}

template <class T>
bool Graph<T>::has_tied_parameters() const {
  std::vector<std::pair<Index, Index>> ranges;
  for (const NodeInfo& node : nodes_)
    if (node.kind == Kind::parameter) ranges.emplace_back(node.offset, node.offset + node.shape.size());
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second) return true;
  return false;
}

template class Graph<float>;
template class Graph<double>;

}  // namespace hso
