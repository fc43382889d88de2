// SPDX-License-Identifier: Apache-2.0
//
// linear, dropout.
#include "nn/layers/families.hpp"

namespace hso {
namespace {

struct Linear {
  static constexpr const char* kType = "linear";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {layer::out(), layer::bias()}; }
  static constexpr auto channels = layer::always<ChannelUse::weight>;
  static constexpr auto constant = layer::varies;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    const Index in = at.shape()[at.shape().rank() - 1];
    const Node w = at.parameter(".weight", {l.out, in}, in, l.out);
    const Node b = l.bias ? at.parameter(".bias", {l.out}, in, l.out, true) : kNoNode;
    return linear(at.graph, at.x, w, b);
  }
};

struct Dropout {
  static constexpr const char* kType = "dropout";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {{"p", &LayerSpec::p, false, 0, 1}}; }
  static constexpr auto channels = layer::always<ChannelUse::entrywise>;
  static constexpr auto constant = layer::keeps;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return dropout(at.graph, at.x, l.p, at.dropout_seed);
  }
};

}  // namespace

std::vector<LayerType> dense_layers() { return {layer_type<Linear>(), layer_type<Dropout>()}; }

}  // namespace hso
