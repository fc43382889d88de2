// SPDX-License-Identifier: Apache-2.0
#include "nn/named_models.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "hsogpu/core/error.hpp"

namespace hso {
namespace {

LayerSpec layer(const std::string& type) { return {.type = type}; }
LayerSpec linear_layer(Index out) { return {.type = "linear", .out = out}; }
LayerSpec conv_layer(Index out, Index kernel, Index padding) {
  return {.type = "conv2d", .out = out, .kernel = {kernel, kernel}, .padding = {padding, padding}};
}
LayerSpec avgpool_layer() { return {.type = "avgpool2d", .kernel = {2, 2}}; }

/// LeCun et al. 1998 as PyTorch users write it: full connections, plain average pooling, softmax output.
ModelSpec lenet5() {
  const LayerSpec tanh = layer("tanh");
  return {"lenet5",
          {1, 28, 28},
          {conv_layer(6, 5, 2), tanh, avgpool_layer(), conv_layer(16, 5, 0), tanh, avgpool_layer(), layer("flatten"),
           linear_layer(120), tanh, linear_layer(84), tanh, linear_layer(10)}};
}

/// For the 8x8 digits; 1,954 parameters, so that its dense Hessian is a matter of seconds.
ModelSpec digits_cnn() {
  const LayerSpec tanh = layer("tanh");
  return {"digits_cnn",
          {1, 8, 8},
          {conv_layer(8, 3, 1), tanh, avgpool_layer(), conv_layer(8, 3, 1), tanh, layer("flatten"), linear_layer(10)}};
}

ModelSpec resnet20() {
  ModelSpec model = resnet20_of({1, 28, 28});
  model.name = "resnet20";
  return model;
}

ModelSpec lenet300() {
  ModelSpec model = mlp({784, 300, 100, 10});
  model.name = "lenet300";
  return model;
}

/// Over the rows of an image, one after the other.
ModelSpec over_rows(const std::string& type) {
  ModelSpec model = recurrent(type, {28, 28}, {128}, 10);
  model.name = type;
  return model;
}
ModelSpec lstm() { return over_rows("lstm"); }
ModelSpec gru() { return over_rows("gru"); }

/// Over 64 ASCII characters; 116,288 parameters.
ModelSpec char_transformer() {
  const LayerSpec block{.type = "transformer", .hidden = 256, .heads = 4, .causal = true};
  return {"char_transformer",
          {64},
          {{.type = "embedding", .out = 64, .count = 128},
           layer("positions"),
           block,
           block,
           layer("layernorm"),
           linear_layer(128)}};
}

}  // namespace

ModelSpec mlp(const std::vector<Index>& sizes, Activation hidden) {
  if (sizes.size() < 2) throw UsageError("mlp: found fewer than two sizes, expected input, hidden..., output");
  const std::string& activation = activation_names()[static_cast<std::size_t>(hidden)];
  ModelSpec model{fmt::format("mlp:{}:{}", fmt::join(sizes, "-"), activation), Shape{sizes[0]}, {}};
  for (std::size_t i = 1; i < sizes.size(); ++i) {
    model.layers.push_back(linear_layer(sizes[i]));
    if (i + 1 < sizes.size()) model.layers.push_back(layer(activation));
  }
  return model;
}

ModelSpec recurrent(const std::string& type, const Pair& sample, const std::vector<Index>& hidden, Index out) {
  ModelSpec model{fmt::format("{}:{}x{}-{}-{}", type, sample[0], sample[1], fmt::join(hidden, "-"), out),
                  {sample[0], sample[1]},
                  {}};
  for (std::size_t i = 0; i < hidden.size(); ++i)
    model.layers.push_back({.type = type, .hidden = hidden[i], .last = i + 1 == hidden.size()});
  model.layers.push_back(linear_layer(out));
  return model;
}

ModelSpec resnet20_of(const Shape& image) {
  ModelSpec model{fmt::format("resnet20:{}x{}x{}", image[0], image[1], image[2]), image, {}};
  std::vector<LayerSpec>& layers = model.layers;
  const auto normalized_convolution = [&](Index out, Index stride) {
    LayerSpec conv = conv_layer(out, 3, 1);
    conv.stride = {stride, stride};
    conv.bias = false;
    layers.push_back(conv);
    layers.push_back(layer("batchnorm2d"));
  };
  const auto named_relu = [&](int number) {
    layers.push_back({.type = "relu", .name = fmt::format("relu{}", number)});
  };
  normalized_convolution(16, 1);
  named_relu(0);
  for (int block = 0; block < 9; ++block) {
    const Index width = Index{16} << block / 3, stride = block == 3 || block == 6 ? 2 : 1;
    normalized_convolution(width, stride);
    layers.push_back(layer("relu"));
    normalized_convolution(width, 1);
    layers.push_back({.type = stride > 1 ? "shortcut" : "add", .from = fmt::format("relu{}", block)});
    named_relu(block + 1);
  }
  layers.push_back(layer("global_avgpool"));
  layers.push_back(linear_layer(10));
  return model;
}

const std::vector<NamedModel>& named_models() {
  static const std::vector<NamedModel> models{{"lenet5", lenet5},
                                              {"lenet300", lenet300},
                                              {"digits_cnn", digits_cnn},
                                              {"resnet20", resnet20},
                                              {"lstm", lstm},
                                              {"gru", gru},
                                              {"char_transformer", char_transformer}};
  return models;
}

const std::vector<std::string>& model_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const NamedModel& m : named_models()) all.push_back(m.name);
    return all;
  }();
  return names;
}

}  // namespace hso
