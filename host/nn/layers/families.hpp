// SPDX-License-Identifier: Apache-2.0
//
// The families of layer types, each in a file of its own, and what their rows share.
#pragma once

#include <limits>

#include "nn/layer_type.hpp"

namespace hso {

std::vector<LayerType> dense_layers();
std::vector<LayerType> image_layers();
std::vector<LayerType> signal_layers();
std::vector<LayerType> shape_layers();
std::vector<LayerType> recurrent_layers();
std::vector<LayerType> norm_layers();
std::vector<LayerType> attention_layers();
std::vector<LayerType> activation_layers();

namespace layer {

inline constexpr double kNoConstant = std::numeric_limits<double>::quiet_NaN();

template <ChannelUse use>
ChannelUse always(const LayerSpec&) {
  return use;
}
inline bool smooth(const LayerSpec&) { return false; }
inline bool bent(const LayerSpec&) { return true; }
inline double keeps(const LayerSpec&, double x) { return x; }
inline double varies(const LayerSpec&, double) { return kNoConstant; }
/// An average that counts the zeros of the padding.
inline double average_of_padded(const LayerSpec& l, double x) {
  return l.padding != Pair{0, 0} && x != 0 ? kNoConstant : x;
}

/// The scale of a norm, which starts at 1, and its shift, which starts at 0.
template <class T>
Node scale_parameter(LayerSite<T>& at, const std::string& suffix, const Shape& shape, Index uses) {
  const Node node = at.parameter(suffix, shape, 1, 1, false, uses);
  at.parameters.back().start = 1;
  return node;
}
template <class T>
Node shift_parameter(LayerSite<T>& at, const std::string& suffix, const Shape& shape) {
  const Node node = at.parameter(suffix, shape, 1, 1, true);
  at.parameters.back().start = 0;
  return node;
}

inline LayerOption out() { return {"out", &LayerSpec::out, true, 1}; }
inline LayerOption bias() { return {"bias", &LayerSpec::bias}; }
inline LayerOption kernel() { return {"kernel", &LayerSpec::kernel, true, 1}; }
inline LayerOption stride() { return {"stride", &LayerSpec::stride, false, 1}; }
inline LayerOption padding() { return {"padding", &LayerSpec::padding}; }
inline LayerOption dilation() { return {"dilation", &LayerSpec::dilation, false, 1}; }
inline LayerOption size() { return {"size", &LayerSpec::size, true, 1}; }

}  // namespace layer
}  // namespace hso
