// SPDX-License-Identifier: Apache-2.0
//
// conv2d and pools.
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "nn/layers/families.hpp"

namespace hso {
namespace {

struct Conv2d {
  static constexpr const char* kType = "conv2d";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() {
    return {layer::out(),     layer::kernel(),   layer::stride(),
            layer::padding(), layer::dilation(), {"groups", &LayerSpec::groups, false, 1},
            layer::bias()};
  }
  static constexpr auto channels = layer::always<ChannelUse::weight>;
  static constexpr auto constant = layer::varies;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    const Shape& in = at.shape();
    if (in.rank() != 3) throw InputError(fmt::format("conv2d: input {}, expected [C, H, W]", in.to_string()));
    if (in[0] % l.groups != 0 || l.out % l.groups != 0)
      throw InputError(fmt::format("conv2d: input {} and out = {}, expected channels that divide into groups = {}",
                                   in.to_string(), l.out, l.groups));
    const Shape weight{l.out, in[0] / l.groups, l.kernel[0], l.kernel[1]};
    const Index fan_in = weight.size() / l.out, fan_out = l.out * l.kernel[0] * l.kernel[1];
    const Node w = at.parameter(".weight", weight, fan_in, fan_out);
    const Node b = l.bias ? at.parameter(".bias", {l.out}, fan_in, fan_out, true) : kNoNode;
    const Pair by = l.stride == Pair{0, 0} ? Pair{1, 1} : l.stride;
    return conv2d(at.graph, at.x, w, b,
                  {by[0], by[1], l.padding[0], l.padding[1], l.dilation[0], l.dilation[1], l.groups});
  }
};

Pool2dOptions pool_options(const LayerSpec& l) {
  return {l.kernel[0], l.kernel[1], l.stride[0], l.stride[1], l.padding[0], l.padding[1]};
}

struct MaxPool2d {
  static constexpr const char* kType = "maxpool2d";
  static constexpr auto kink = layer::bent;
  static std::vector<LayerOption> options() { return {layer::kernel(), layer::stride(), layer::padding()}; }
  static constexpr auto channels = layer::always<ChannelUse::channelwise>;
  static constexpr auto constant = layer::keeps;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return maxpool2d(at.graph, at.x, pool_options(l));
  }
};

struct AvgPool2d {
  static constexpr const char* kType = "avgpool2d";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {layer::kernel(), layer::stride(), layer::padding()}; }
  static constexpr auto channels = layer::always<ChannelUse::channelwise>;
  static constexpr auto constant = layer::average_of_padded;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return avgpool2d(at.graph, at.x, pool_options(l));
  }
};

struct AdaptiveAvgPool2d {
  static constexpr const char* kType = "adaptive_avgpool2d";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {layer::size()}; }
  static constexpr auto channels = layer::always<ChannelUse::channelwise>;
  static constexpr auto constant = layer::keeps;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    if (l.size.size() > 2) throw InputError("adaptive_avgpool2d: size has over two numbers, expected height and width");
    return adaptive_avgpool2d(at.graph, at.x, l.size.front(), l.size.back());
  }
};

/// One number for each channel of [C, ...]: the mean over its positions.
struct GlobalAvgPool {
  static constexpr const char* kType = "global_avgpool";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {}; }
  static constexpr auto channels = layer::always<ChannelUse::mixed>;
  static constexpr auto constant = layer::varies;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec&) {
    const Shape in = at.shape();
    if (in.rank() < 2) throw InputError(fmt::format("global_avgpool: input {}, expected [C, ...]", in.to_string()));
    const Node image = reshape(at.graph, at.x, {in[0], 1, in.size() / in[0]});
    return flatten(at.graph, adaptive_avgpool2d(at.graph, image, 1, 1));
  }
};

}  // namespace

std::vector<LayerType> image_layers() {
  return {layer_type<Conv2d>(), layer_type<MaxPool2d>(), layer_type<AvgPool2d>(), layer_type<AdaptiveAvgPool2d>(),
          layer_type<GlobalAvgPool>()};
}

}  // namespace hso
