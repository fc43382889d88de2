// SPDX-License-Identifier: Apache-2.0
//
// layernorm, rmsnorm, groupnorm, batchnorm1d, batchnorm2d: PyTorch's, with weight 1 and bias 0 to start from.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "hsogpu/core/error.hpp"
#include "nn/layers/families.hpp"
#include "nn/network_layers.hpp"

namespace hso {
namespace {

LayerOption eps() { return {"eps", &LayerSpec::eps}; }
LayerOption affine() { return {"affine", &LayerSpec::affine}; }

/// The scale and shift behind a norm, where it has them.
template <class T>
Node scaled(LayerSite<T>& at, const LayerSpec& l, Node u, const Shape& shape, Index run, bool bias) {
  if (!l.affine) return u;
  const Index uses = at.shape().size() / shape.size();
  const Node w = layer::scale_parameter(at, ".weight", shape, uses);
  const Node b = bias ? layer::shift_parameter(at, ".bias", shape) : kNoNode;
  return scale_shift(at.graph, u, w, b, run);
}

/// The last axes of a sample, which are normalised together: `size`, or the last one.
template <class T>
Shape normalized_shape(const LayerSite<T>& at, const LayerSpec& l) {
  const Shape& x = at.shape();
  const std::vector<Index> size = l.size.empty() ? std::vector<Index>{x[x.rank() - 1]} : l.size;
  const int rank = static_cast<int>(size.size());
  bool fits = rank <= x.rank();
  for (int i = 0; fits && i < rank; ++i) fits = x[x.rank() - rank + i] == size[static_cast<std::size_t>(i)];
  const Shape shape{Span<const Index>(size)};
  if (!fits)
    throw InputError(fmt::format("{}: size = {}, expected the last extents of the input {}", l.type, shape.to_string(),
                                 x.to_string()));
  return shape;
}

struct Norm {
  static constexpr auto kink = layer::smooth;
  static constexpr auto channels = layer::always<ChannelUse::mixed>;
  static constexpr auto constant = layer::varies;
};

/// Ba, Kiros and Hinton 2016.
struct LayerNorm : Norm {
  static constexpr const char* kType = "layernorm";
  static std::vector<LayerOption> options() {
    return {{"size", &LayerSpec::size, false, 1}, eps(), affine(), layer::bias()};
  }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    const Shape shape = normalized_shape(at, l);
    const Node u = normalize(at.graph, at.x, shape.size(), true, l.eps < 0 ? 1e-5 : l.eps);
    return scaled(at, l, u, shape, 1, l.bias);
  }
};

/// Zhang and Sennrich 2019. eps is the distance from 1 to the next number of the type.
struct RmsNorm : Norm {
  static constexpr const char* kType = "rmsnorm";
  static std::vector<LayerOption> options() { return {{"size", &LayerSpec::size, false, 1}, eps(), affine()}; }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    const Shape shape = normalized_shape(at, l);
    const double eps = l.eps < 0 ? static_cast<double>(std::numeric_limits<T>::epsilon()) : l.eps;
    return scaled(at, l, normalize(at.graph, at.x, shape.size(), false, eps), shape, 1, false);
  }
};

/// Wu and He 2018: over the channels of a group and all their positions.
struct GroupNorm : Norm {
  static constexpr const char* kType = "groupnorm";
  static std::vector<LayerOption> options() { return {{"groups", &LayerSpec::groups, true, 1}, eps(), affine()}; }
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    const Shape& x = at.shape();
    if (x[0] % l.groups != 0)
      throw InputError(
          fmt::format("groupnorm: input {}, expected channels that divide into groups = {}", x.to_string(), l.groups));
    const Index channels = x[0], positions = x.size() / channels;
    const Node u = normalize(at.graph, at.x, x.size() / l.groups, true, l.eps < 0 ? 1e-5 : l.eps);
    return scaled(at, l, u, {channels}, positions, true);
  }
};

/// Ioffe and Szegedy 2015. `ranks`: of a sample that it takes.
template <class T>
Node batch_norm_layer(LayerSite<T>& at, const LayerSpec& l, const std::vector<int>& ranks, const char* expected) {
  const Shape& x = at.shape();
  if (std::find(ranks.begin(), ranks.end(), x.rank()) == ranks.end())
    throw InputError(fmt::format("{}: input {}, expected {}", l.type, x.to_string(), expected));
  const Index channels = x[0], positions = x.size() / channels,
              first = static_cast<Index>(at.graph.statistics().size());
  const std::string label = layer_label(at.model, at.layer);
  const Node u = batch_norm(at.graph, at.x, {l.eps < 0 ? 1e-5 : l.eps, l.momentum, l.type + " " + label});
  at.statistics.push_back({label + ".running_mean", {channels}, first});
  at.statistics.push_back({label + ".running_var", {channels}, first + channels});
  return scaled(at, l, u, {channels}, positions, true);
}
struct BatchNorm : Norm {
  static std::vector<LayerOption> options() { return {eps(), {"momentum", &LayerSpec::momentum}, affine()}; }
};
struct BatchNorm1d : BatchNorm {
  static constexpr const char* kType = "batchnorm1d";
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return batch_norm_layer(at, l, {1, 2}, "[features] or [channels, length]");
  }
};
struct BatchNorm2d : BatchNorm {
  static constexpr const char* kType = "batchnorm2d";
  template <class T>
  static Node build(LayerSite<T>& at, const LayerSpec& l) {
    return batch_norm_layer(at, l, {3}, "[C, H, W]");
  }
};

}  // namespace

std::vector<LayerType> norm_layers() {
  return {layer_type<LayerNorm>(), layer_type<RmsNorm>(), layer_type<GroupNorm>(), layer_type<BatchNorm1d>(),
          layer_type<BatchNorm2d>()};
}

}  // namespace hso
