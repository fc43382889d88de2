// SPDX-License-Identifier: Apache-2.0
#include "support/graph_of.hpp"

#include <map>

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

template <class T>
Node add_layer(Graph<T>& g, const Layer& l) {
  using Kind = Layer::Kind;
  const auto in = [&](std::size_t i) { return i < l.in.size() ? Node{l.in[i]} : kNoNode; };
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
  }
  return kNoNode;
}

}  // namespace

template <class T>
Graph<T> graph_of(const Net& net, int output) {
  Graph<T> g;
  for (const Layer& layer : net.layers) add_layer(g, layer);
  g.set_output(output >= 0 ? output : net.output);
  g.set_loss(net.loss);
  return g;
}

template Graph<float> graph_of(const Net&, int);
template Graph<double> graph_of(const Net&, int);

}  // namespace hso::test
