// SPDX-License-Identifier: Apache-2.0
//
// Layers that move numbers or join them: flatten, reshape, transpose, add, shortcut.
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

/// He et al. 2016, option A of section 3.3: a residual connection without parameters where the shape changes.
struct Shortcut {
  static constexpr const char* kType = "shortcut";
  static constexpr auto kink = layer::smooth;
  static std::vector<LayerOption> options() { return {{"from", &LayerSpec::from, true}}; }
  static constexpr auto channels = layer::always<ChannelUse::mixed>;
  static constexpr auto constant = layer::varies;
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    Graph<T>& g = at.graph;
    Node branch = at.earlier(l);
    const Shape &x = at.shape(), from = g[branch].shape;
    const auto every = [](Index many, Index few) { return (many + few - 1) / few; };
    const bool images = x.rank() == 3 && from.rank() == 3;
    const Index s = images ? every(from[1], x[1]) : 1;
    if (!images || every(from[1], s) != x[1] || every(from[2], s) != x[2] || from[0] > x[0])
      throw InputError(fmt::format("shortcut: {} to {}, expected [c, h, w] to [C, h / s, w / s], no fewer channels",
                                   from.to_string(), x.to_string()));
    if (s > 1) branch = avgpool2d(g, branch, {1, 1, s, s, 0, 0});
    const Index front = (x[0] - from[0]) / 2;
    std::vector<Node> parts{branch};
    if (front > 0) parts.insert(parts.begin(), zeros(g, at.x, front));
    if (const Index back = x[0] - from[0] - front; back > 0) parts.push_back(zeros(g, at.x, back));
    return add(g, at.x, parts.size() == 1 ? branch : concat(g, parts, 0));
  }

 private:
  /// As many channels as `like` has at least.
  template <class T>
  static Node zeros(Graph<T>& g, Node like, Index channels) {
    return affine(g, slice(g, like, 0, 0, channels), 0);
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
  return {layer_type<Flatten>(), layer_type<Reshape>(), layer_type<Transpose>(), layer_type<Add>(),
          layer_type<Shortcut>()};
}

}  // namespace hso
