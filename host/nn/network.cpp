// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/model.hpp"
#include "io/shown_text.hpp"
#include "nn/network_layers.hpp"

namespace hso {
namespace {

template <class T>
Node append_loss(Graph<T>& graph, Node output, LossKind loss) {
  const Shape shape = graph[output].shape;
  if (loss == LossKind::cross_entropy && (shape.rank() < 1 || shape.rank() > 2))
    throw InputError(
        fmt::format("cross_entropy: output {}, expected [classes] or [steps, classes]; a flatten layer may be missing",
                    shape.to_string()));
  const Node target = graph.target(loss != LossKind::cross_entropy ? shape
                                   : shape.rank() == 2             ? Shape{shape[0]}
                                                                   : Shape{});
  if (loss == LossKind::cross_entropy) return cross_entropy(graph, output, target);
  if (loss == LossKind::huber) return huber(graph, output, target);
  return loss == LossKind::squared_error ? squared_error(graph, output, target) : bce(graph, output, target);
}

Shape without_ones(const Shape& shape) {
  std::vector<Index> kept;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] != 1) kept.push_back(shape[axis]);
  return Shape(Span<const Index>(kept));
}

}  // namespace

void check_input(const ModelSpec& model, const Shape& data) {
  const bool flat = model.input.rank() == 1 || data.rank() == 1;
  const bool same_size = model.input.size() == data.size();
  if (same_size && (flat || without_ones(model.input) == without_ones(data))) return;
  throw InputError(fmt::format("{}: input {} does not fit the data's {}", shown(model.name), model.input.to_string(),
                               data.to_string()));
}

template <class T>
Network<T> build_network(const ModelSpec& model, LossKind loss, std::uint64_t dropout_seed) {
  NetworkLayers<T> layers = build_layers<T>(model, dropout_seed);
  Graph<T>& graph = layers.graph;
  const Node output = layers.outputs.back();
  graph.set_output(output);
  try {
    graph.set_loss(append_loss(graph, output, loss));
  } catch (const InputError& e) {
    throw InputError(location(model, model.layers.size() - 1) + e.what());
  }
  const Shape output_shape = graph[output].shape;
  return {std::move(graph),  std::move(layers.parameters), model.input, output_shape, loss,
          layers.vocabulary, std::move(layers.statistics)};
}

template Network<float> build_network(const ModelSpec&, LossKind, std::uint64_t);
template Network<double> build_network(const ModelSpec&, LossKind, std::uint64_t);

}  // namespace hso
