// SPDX-License-Identifier: Apache-2.0
#include "support/net.hpp"

#include <algorithm>
#include <numeric>

#include "support/dual.hpp"
#include "support/reference_layers.hpp"

namespace hso::test {

int Net::add_layer(Layer layer) {
  layers.push_back(std::move(layer));
  return static_cast<int>(layers.size()) - 1;
}

int Net::parameter_at(const Extents& shape, int offset) {
  const int size = std::accumulate(shape.begin(), shape.end(), 1, std::multiplies<>());
  parameters = std::max(parameters, offset + size);
  Layer layer{Layer::Kind::parameter, {}, shape};
  layer.offset = offset;
  return add_layer(layer);
}

int Net::linear(int x, int weight, int bias) {
  Layer layer{Layer::Kind::linear, {x, weight}, {}};
  if (bias >= 0) layer.in.push_back(bias);
  return add_layer(layer);
}

int Net::conv2d(int x, int weight, int bias, const ConvOptions& options) {
  Layer layer{Layer::Kind::conv2d, {x, weight}, {}};
  if (bias >= 0) layer.in.push_back(bias);
  std::copy_n(options.stride, 2, layer.stride);
  std::copy_n(options.padding, 2, layer.padding);
  std::copy_n(options.dilation, 2, layer.dilation);
  layer.groups = options.groups;
  return add_layer(layer);
}

int Net::pool(Layer::Kind kind, int x, const PoolOptions& options) {
  Layer layer{kind, {x}, {}};
  std::copy_n(options.kernel, 2, layer.kernel);
  std::copy_n(options.stride, 2, layer.stride);
  std::copy_n(options.padding, 2, layer.padding);
  return add_layer(layer);
}

int Net::activation(int x, const std::string& name, double number) {
  Layer layer{Layer::Kind::activation, {x}, {}};
  layer.name = name;
  layer.number = number;
  return add_layer(layer);
}

int Net::function(int x, const std::string& name, double scale) {
  Layer layer{Layer::Kind::function, {x}, {}};
  layer.name = name;
  layer.number = scale;
  return add_layer(layer);
}

int Net::dropout(int x, double p, std::uint64_t seed) {
  Layer layer{Layer::Kind::dropout, {x}, {}};
  layer.number = p;
  layer.seed = seed;
  return add_layer(layer);
}

int Net::slice(int x, int axis, int begin, int length) {
  Layer layer{Layer::Kind::slice, {x}, {axis, length}};
  layer.offset = begin;
  return add_layer(layer);
}

int Net::recurrence(const std::string& cell, int gates, int weight, int bias) {
  Layer layer{Layer::Kind::recurrence, {gates, weight}, {}};
  if (bias >= 0) layer.in.push_back(bias);
  layer.name = cell;
  return add_layer(layer);
}

int Net::layer(int x, const Extents& in, const std::string& line) {
  const std::vector<double> zeros(10'000);
  Slices<double> theta(zeros.data());
  layer_output<double>(line, {in, std::vector<double>(static_cast<std::size_t>(count(in)))}, theta);
  Layer layer{Layer::Kind::layer, {x}, in};
  layer.name = line;
  layer.offset = parameters;
  parameters += theta.taken();
  return add_layer(layer);
}

int Net::dense(int x, int in, int out, bool bias) {
  const int weight = parameter({out, in});
  return linear(x, weight, bias ? parameter({out}) : -1);
}

int Net::convolution(int x, const Extents& weight, const ConvOptions& options, bool bias) {
  const int w = parameter(weight);
  return conv2d(x, w, bias ? parameter({weight[0]}) : -1, options);
}

void Net::finish_against(int z, Layer::Kind loss_kind, int target_layer) {
  if (output < 0) output = z;
  loss = add_layer({loss_kind, {z, target_layer}, {}});
}

}  // namespace hso::test
