// SPDX-License-Identifier: Apache-2.0
//
// conv1d, maxpool1d and avgpool1d over [channels, length]: the layers for images over an image of one row.
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "nn/layers/families.hpp"

namespace hso {
namespace {

/// Two numbers mean height and width elsewhere; here there is one.
Index along(const LayerSpec& l, const Pair& pair, const char* key) {
  if (pair[0] != pair[1])
    throw InputError(fmt::format("{}: {} = [{}, {}], expected one number", l.type, key, pair[0], pair[1]));
  return pair[0];
}

template <class T>
Node as_image(LayerSite<T>& at, const LayerSpec& l) {
  const Shape in = at.shape();
  if (in.rank() != 2)
    throw InputError(fmt::format("{}: input {}, expected [channels, length]", l.type, in.to_string()));
  return reshape(at.graph, at.x, {in[0], 1, in[1]});
}
template <class T>
Node as_signal(Graph<T>& g, Node image) {
  const Shape& y = g[image].shape;
  return reshape(g, image, {y[0], y[2]});
}

Pool2dOptions pool_options(const LayerSpec& l) {
  return {.kernel_h = 1,
          .kernel_w = along(l, l.kernel, "kernel"),
          .stride_h = 1,
          .stride_w = along(l, l.stride, "stride"),
          .padding_w = along(l, l.padding, "padding")};
}

struct Conv1d {
  static constexpr const char* kType = "conv1d";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() {
    return {layer::out(),     layer::kernel(),   layer::stride(),
            layer::padding(), layer::dilation(), {"groups", &LayerSpec::groups, false, 1},
            layer::bias()};
  }
  static constexpr auto channels = layer::always<ChannelUse::mixed>;
  static constexpr auto constant = layer::varies;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    const Node x = as_image(at, l);
    const Index in = at.shape()[0], kernel = along(l, l.kernel, "kernel");
    if (in % l.groups != 0 || l.out % l.groups != 0)
      throw InputError(fmt::format("conv1d: input {} and out = {}, expected channels that divide into groups = {}",
                                   at.shape().to_string(), l.out, l.groups));
    const Index fan_in = in / l.groups * kernel, fan_out = l.out * kernel;
    const Node w = at.parameter(".weight", {l.out, in / l.groups, 1, kernel}, fan_in, fan_out);
    at.parameters.back().shape = Shape{l.out, in / l.groups, kernel};
    const Node b = l.bias ? at.parameter(".bias", {l.out}, fan_in, fan_out, true) : kNoNode;
    const Index stride = along(l, l.stride, "stride");
    return as_signal(at.graph, conv2d(at.graph, x, w, b,
                                      {.stride_w = stride > 0 ? stride : 1,
                                       .padding_w = along(l, l.padding, "padding"),
                                       .dilation_w = along(l, l.dilation, "dilation"),
                                       .groups = l.groups}));
  }
};

struct Pool1d {
  static std::vector<LayerOption> options() { return {layer::kernel(), layer::stride(), layer::padding()}; }
  static constexpr auto channels = layer::always<ChannelUse::mixed>;
  static constexpr auto constant = layer::varies;
};

struct MaxPool1d : Pool1d {
  static constexpr const char* kType = "maxpool1d";
  static constexpr auto kink = layer::bent;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return as_signal(at.graph, maxpool2d(at.graph, as_image(at, l), pool_options(l)));
  }
};

struct AvgPool1d : Pool1d {
  static constexpr const char* kType = "avgpool1d";
  static constexpr auto kink = layer::smooth;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return as_signal(at.graph, avgpool2d(at.graph, as_image(at, l), pool_options(l)));
  }
};

}  // namespace

std::vector<LayerType> signal_layers() {
  return {layer_type<Conv1d>(), layer_type<MaxPool1d>(), layer_type<AvgPool1d>()};
}

}  // namespace hso
