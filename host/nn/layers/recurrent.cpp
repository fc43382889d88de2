// SPDX-License-Identifier: Apache-2.0
//
// rnn, lstm, gru: PyTorch's layers of the same names with batch_first, over samples [steps, features]. Parameters in
// PyTorch's order: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, then those of the reverse direction, layer by
// layer. All start uniform in +-1 / sqrt(hidden) there, so `hidden` is both fans.
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "nn/layers/families.hpp"

namespace hso {
namespace {

Index gates_of(RecurrentCell cell) { return cell == RecurrentCell::lstm ? 4 : cell == RecurrentCell::gru ? 3 : 1; }

/// States [steps][hidden] of one direction of one layer.
template <class T>
Node states(LayerSite<T>& at, const LayerSpec& l, Node x, RecurrentCell cell, Index layer, bool reversed) {
  const Index steps = at.graph[x].shape[0], in = at.graph[x].shape[1], rows = gates_of(cell) * l.hidden;
  const std::string name = fmt::format("_l{}{}", layer, reversed ? "_reverse" : "");
  const auto parameter = [&](const char* kind, const Shape& shape, bool is_bias) {
    return at.parameter(fmt::format(".{}{}", kind, name), shape, l.hidden, l.hidden, is_bias, steps);
  };
  const Node w_ih = parameter("weight_ih", {rows, in}, false), w_hh = parameter("weight_hh", {rows, l.hidden}, false);
  const Node b_ih = l.bias ? parameter("bias_ih", {rows}, true) : kNoNode;
  const Node b_hh = l.bias ? parameter("bias_hh", {rows}, true) : kNoNode;
  return recurrence(at.graph, linear(at.graph, x, w_ih, b_ih), w_hh, b_hh, cell, reversed);
}

/// [hidden]: what the direction ends with.
template <class T>
Node last_state(Graph<T>& g, Node states, bool reversed) {
  const Shape& s = g[states].shape;
  return flatten(g, slice(g, states, 0, reversed ? 0 : s[0] - 1, 1));
}

template <class T>
Node stack(LayerSite<T>& at, const LayerSpec& l, RecurrentCell cell) {
  const Shape& in = at.shape();
  if (in.rank() != 2) throw InputError(fmt::format("{}: input {}, expected [steps, features]", l.type, in.to_string()));
  Node x = at.x;
  for (Index layer = 0; layer < l.layers; ++layer) {
    std::vector<Node> directions{states(at, l, x, cell, layer, false)};
    if (l.bidirectional) directions.push_back(states(at, l, x, cell, layer, true));
    if (l.last && layer + 1 == l.layers)
      for (std::size_t d = 0; d < directions.size(); ++d) directions[d] = last_state(at.graph, directions[d], d == 1);
    const int axis = at.graph[directions[0]].shape.rank() - 1;
    x = l.bidirectional ? concat(at.graph, directions, axis) : directions[0];
  }
  return x;
}

struct Recurrent {
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() {
    return {{"hidden", &LayerSpec::hidden, true, 1},
            {"layers", &LayerSpec::layers, false, 1},
            {"bidirectional", &LayerSpec::bidirectional},
            layer::bias(),
            {"last", &LayerSpec::last}};
  }
  static constexpr auto channels = layer::always<ChannelUse::mixed>;
  static constexpr auto constant = layer::varies;
};

struct Rnn : Recurrent {
  static constexpr const char* kType = "rnn";
  static bool kink(const LayerSpec& l) { return l.nonlinearity == "relu"; }
  static std::vector<LayerOption> options() {
    auto all = Recurrent::options();
    all.push_back({.key = "nonlinearity", .field = &LayerSpec::nonlinearity, .choices = {"tanh", "relu"}});
    return all;
  }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return stack(at, l, l.nonlinearity == "tanh" ? RecurrentCell::rnn_tanh : RecurrentCell::rnn_relu);
  }
};

struct Lstm : Recurrent {
  static constexpr const char* kType = "lstm";
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return stack(at, l, RecurrentCell::lstm);
  }
};

struct Gru : Recurrent {
  static constexpr const char* kType = "gru";
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return stack(at, l, RecurrentCell::gru);
  }
};

}  // namespace

std::vector<LayerType> recurrent_layers() { return {layer_type<Rnn>(), layer_type<Lstm>(), layer_type<Gru>()}; }

}  // namespace hso
