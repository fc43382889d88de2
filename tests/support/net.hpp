// SPDX-License-Identifier: Apache-2.0
//
// A description of a network, written once for each test case: the plain interpreter (reference_net.hpp) evaluates it,
// and graph_of.hpp builds the library's graph from it. Nothing here includes the library.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hso::test {

using Extents = std::vector<int>;

struct Layer {
  enum class Kind {
    input,
    target,
    parameter,
    linear,
    conv2d,
    maxpool2d,
    avgpool2d,
    adaptive_avgpool2d,
    reshape,
    add,
    subtract,
    multiply,
    total,
    slice,
    concat,
    recurrence,  ///< in: pre-activations, weight and, where there is one, bias; `name` is the cell
    layer,       ///< of the model grammar: `name` is its line, `shape` that of its input
    function,
    activation,
    dropout,
    cross_entropy,
    squared_error,
    bce,
    huber
  };
  Kind kind;
  std::vector<int> in;  ///< positions of earlier layers
  Extents shape;        ///< input, target, parameter, reshape: of one sample; adaptive pool: output height and width;
                        ///< slice and concat: the axis, slice: and the length
  int offset = 0;       ///< parameter, layer: first entry of its slice of theta; slice: begin
  // pairs are (height, width)
  int kernel[2] = {2, 2}, stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1}, groups = 1;
  std::string name{};  ///< activation, function
  double number = -1;  ///< activation: slope or alpha, negative for the default; function affine: scale; dropout: p
  std::uint64_t seed = 0;
};

struct ConvOptions {
  int stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1}, groups = 1;
};
struct PoolOptions {
  int kernel[2] = {2, 2}, stride[2] = {2, 2}, padding[2] = {0, 0};
};

/// Every function adds one layer and returns its position.
struct Net {
  std::vector<Layer> layers;
  int parameters = 0;  ///< length of theta
  int output = -1, loss = -1;

  int input(const Extents& shape) { return add_layer({Layer::Kind::input, {}, shape}); }
  int target(const Extents& shape) { return add_layer({Layer::Kind::target, {}, shape}); }
  int parameter(const Extents& shape) { return parameter_at(shape, parameters); }
  int parameter_at(const Extents& shape, int offset);
  int linear(int x, int weight, int bias = -1);
  int conv2d(int x, int weight, int bias = -1, const ConvOptions& options = {});
  int maxpool2d(int x, const PoolOptions& options = {}) { return pool(Layer::Kind::maxpool2d, x, options); }
  int avgpool2d(int x, const PoolOptions& options = {}) { return pool(Layer::Kind::avgpool2d, x, options); }
  int adaptive_avgpool2d(int x, int out_h, int out_w) {
    return add_layer({Layer::Kind::adaptive_avgpool2d, {x}, {out_h, out_w}});
  }
  int reshape(int x, const Extents& shape) { return add_layer({Layer::Kind::reshape, {x}, shape}); }
  int sum(int a, int b) { return add_layer({Layer::Kind::add, {a, b}, {}}); }
  int difference(int a, int b) { return add_layer({Layer::Kind::subtract, {a, b}, {}}); }
  int product(int a, int b) { return add_layer({Layer::Kind::multiply, {a, b}, {}}); }
  int total(int x) { return add_layer({Layer::Kind::total, {x}, {}}); }
  int slice(int x, int axis, int begin, int length);
  int concat(const std::vector<int>& parts, int axis) { return add_layer({Layer::Kind::concat, parts, {axis}}); }
  /// rnn_tanh, rnn_relu, lstm, gru
  int recurrence(const std::string& cell, int gates, int weight, int bias = -1);
  /// A layer of the model grammar behind x, whose shape is `in`, with parameters of its own (reference_layers.hpp).
  int layer(int x, const Extents& in, const std::string& line);
  /// exp, log, sqrt, reciprocal, sin, cos, atan; affine is scale x + kShift.
  int function(int x, const std::string& name, double scale = 1);
  static constexpr double kShift = 0.25;
  int activation(int x, const std::string& name, double number = -1);
  int dropout(int x, double p, std::uint64_t seed);

  /// A linear layer with a weight [out][in] and, when asked, a bias of its own.
  int dense(int x, int in, int out, bool bias = true);
  /// The same for conv2d: weight [out][in][kh][kw], `in` already divided by the groups.
  int convolution(int x, const Extents& weight, const ConvOptions& options = {}, bool bias = true);

  /// The loss of that kind between z and a target of its own (or another layer); z is the output unless one was set.
  void finish(int z, Layer::Kind loss_kind, const Extents& target_shape) {
    finish_against(z, loss_kind, target(target_shape));
  }
  void finish_against(int z, Layer::Kind loss_kind, int target_layer);
  void cross_entropy(int z) { finish(z, Layer::Kind::cross_entropy, {}); }

 private:
  int pool(Layer::Kind kind, int x, const PoolOptions& options);
  int add_layer(Layer layer);
};

}  // namespace hso::test
