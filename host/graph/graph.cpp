// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/graph.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/detail/op.hpp"
#include "hsogpu/error.hpp"

namespace hso {

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
  if (offset < 0) throw UsageError(fmt::format("Graph::parameter_at {}: negative offset {}", name, offset));
  parameter_count_ = std::max(parameter_count_, offset + shape.size());
  return add({Kind::parameter, name, shape, false, offset, {}, nullptr});
}

template <class T>
Node Graph<T>::apply(std::unique_ptr<detail::Op<T>> op, std::vector<Node> inputs) {
  std::vector<Shape> shapes;
  bool batched = false;
  for (Node i : inputs) {
    check(i, "Graph::apply");
    shapes.push_back((*this)[i].shape);
    batched = batched || (*this)[i].batched;
  }
  const Shape shape = op->infer(shapes);
  std::string name(op->name());
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
