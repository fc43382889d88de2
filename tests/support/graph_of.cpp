// SPDX-License-Identifier: Apache-2.0
#include "support/graph_of.hpp"

#include <map>
#include <stdexcept>

#include "nn/layer_type.hpp"
#include "support/shrink_models.hpp"

namespace hso::test {
namespace {

Shape shape_of(const Extents& extents) {
  const std::vector<Index> wide(extents.begin(), extents.end());
  return Shape(Span<const Index>(wide));
}

Conv2dOptions conv_options(const Layer& l) {
  return {l.stride[0], l.stride[1], l.padding[0], l.padding[1], l.dilation[0], l.dilation[1], l.groups};
}
Pool2dOptions pool_options(const Layer& l) {
  return {l.kernel[0], l.kernel[1], l.stride[0], l.stride[1], l.padding[0], l.padding[1]};
}

template <class T>
Node add_function(Graph<T>& g, const Layer& l, Node x) {
  if (l.name == "affine") return affine(g, x, l.number, Net::kShift);
  using Function = Node (*)(Graph<T>&, Node);
  static const std::map<std::string, Function> functions{
      {"exp", exp<T>}, {"log", log<T>}, {"sqrt", sqrt<T>}, {"reciprocal", reciprocal<T>},
      {"sin", sin<T>}, {"cos", cos<T>}, {"atan", atan<T>}};
  return functions.at(l.name)(g, x);
}

/// Whatever nodes the library makes of it; its tensors are the next ones of theta.
template <class T>
Node add_model_layer(Graph<T>& g, const Layer& l, Node x) {
  // A model has parameters: those of a second layer, which is not built.
  const ModelSpec model = model_of(shape_of(l.shape).to_string(), {l.name, "linear out = 1"});
  std::vector<ParameterInfo> parameters, statistics;
  Index vocabulary = 0;
  LayerSite<T> at{model, g, parameters, statistics, vocabulary, 0};
  at.x = x;
  if (g.parameter_count() != l.offset) throw std::logic_error(l.name + ": parameters before it are not counted");
  return layer_type_of(model.layers[0]).build(at, model.layers[0]);
}

template <class T>
Node add_layer(Graph<T>& g, const Layer& l, const std::vector<Node>& nodes) {
  using Kind = Layer::Kind;
  const auto in = [&](std::size_t i) { return i < l.in.size() ? nodes[static_cast<std::size_t>(l.in[i])] : kNoNode; };
  switch (l.kind) {
    case Kind::input:
      return g.input(shape_of(l.shape));
    case Kind::target:
      return g.target(shape_of(l.shape));
    case Kind::parameter:
      return g.parameter_at(std::to_string(l.offset), shape_of(l.shape), l.offset);
    case Kind::linear:
      return linear(g, in(0), in(1), in(2));
    case Kind::conv2d:
      return conv2d(g, in(0), in(1), in(2), conv_options(l));
    case Kind::maxpool2d:
      return maxpool2d(g, in(0), pool_options(l));
    case Kind::avgpool2d:
      return avgpool2d(g, in(0), pool_options(l));
    case Kind::adaptive_avgpool2d:
      return adaptive_avgpool2d(g, in(0), l.shape[0], l.shape[1]);
    case Kind::reshape:
      return l.shape.size() == 1 ? flatten(g, in(0)) : reshape(g, in(0), shape_of(l.shape));
    case Kind::add:
      return add(g, in(0), in(1));
    case Kind::subtract:
      return subtract(g, in(0), in(1));
    case Kind::multiply:
      return multiply(g, in(0), in(1));
    case Kind::total:
      return sum(g, in(0));
    case Kind::slice:
      return slice(g, in(0), l.shape[0], l.offset, l.shape[1]);
    case Kind::concat: {
      std::vector<Node> parts;
      for (std::size_t i = 0; i < l.in.size(); ++i) parts.push_back(in(i));
      return concat(g, parts, l.shape[0]);
    }
    case Kind::recurrence: {
      static const std::map<std::string, RecurrentCell> cells{{"rnn_tanh", RecurrentCell::rnn_tanh},
                                                              {"rnn_relu", RecurrentCell::rnn_relu},
                                                              {"lstm", RecurrentCell::lstm},
                                                              {"gru", RecurrentCell::gru}};
      return recurrence(g, in(0), in(1), in(2), cells.at(l.name));
    }
    case Kind::layer:
      return add_model_layer(g, l, in(0));
    case Kind::function:
      return add_function(g, l, in(0));
    case Kind::activation:
      return activation(g, in(0), parse_activation(l.name), l.number);
    case Kind::dropout:
      return dropout(g, in(0), l.number, l.seed);
    case Kind::cross_entropy:
      return cross_entropy(g, in(0), in(1));
    case Kind::squared_error:
      return squared_error(g, in(0), in(1));
    case Kind::bce:
      return bce(g, in(0), in(1));
    case Kind::huber:
      return huber(g, in(0), in(1));
  }
  return kNoNode;
}

}  // namespace

template <class T>
Graph<T> graph_of(const Net& net, int output) {
  Graph<T> g;
  std::vector<Node> nodes;
  for (const Layer& layer : net.layers) nodes.push_back(add_layer(g, layer, nodes));
  g.set_output(nodes[static_cast<std::size_t>(output >= 0 ? output : net.output)]);
  g.set_loss(nodes[static_cast<std::size_t>(net.loss)]);
  return g;
}

template Graph<float> graph_of(const Net&, int);
template Graph<double> graph_of(const Net&, int);

}  // namespace hso::test
