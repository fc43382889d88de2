// SPDX-License-Identifier: Apache-2.0
//
// Layers that move numbers or join them: flatten, reshape, transpose, add.
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "nn/layers/families.hpp"

namespace hso {
namespace {

struct Flatten {
  static constexpr const char* kType = "flatten";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {}; }
  static constexpr auto channels = layer::always<ChannelUse::entrywise>;
  static constexpr auto constant = layer::keeps;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec&) {
    return flatten(at.graph, at.x);
  }
};

struct Reshape {
  static constexpr const char* kType = "reshape";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {layer::size()}; }
  static ChannelUse channels(const LayerSpec& l) {
    return l.size.size() > 1 ? ChannelUse::fixed : ChannelUse::entrywise;
  }
  static constexpr auto constant = layer::keeps;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return reshape(at.graph, at.x, Shape(Span<const Index>(l.size)));
  }
};

struct Add {
  static constexpr const char* kType = "add";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {{"from", &LayerSpec::from, true}}; }
  static constexpr auto channels = layer::always<ChannelUse::sum>;
  static constexpr auto constant = layer::varies;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return add(at.graph, at.x, at.earlier(l));
  }
};

/// [a, b] to [b, a]: steps of features to channels of a signal, and back.
struct Transpose {
  static constexpr const char* kType = "transpose";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {}; }
  static constexpr auto channels = layer::always<ChannelUse::mixed>;
  static constexpr auto constant = layer::keeps;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec&) {
    if (at.shape().rank() != 2)
      throw InputError(fmt::format("transpose: input {}, expected two axes", at.shape().to_string()));
    return transpose(at.graph, at.x, 0);
  }
};

}  // namespace

std::vector<LayerType> shape_layers() {
  return {layer_type<Flatten>(), layer_type<Reshape>(), layer_type<Transpose>(), layer_type<Add>()};
}

}  // namespace hso
