// SPDX-License-Identifier: Apache-2.0
//
// The products of a convolution by the column matrix of a chunk of samples, all lanes at once: for any sizes on any
// backend. Columns of a chunk lie side by side, so that a product sums over its samples.
#pragma once

#include <algorithm>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/convolutions.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

template <class T>
class ConvolutionByColumns final : public Convolutions<T> {
 public:
  using typename Convolutions<T>::Terms;
  explicit ConvolutionByColumns(Ops<T>& ops) : ops_(ops) {}
  bool takes(const ConvolutionSizes&) const override { return true; }

  void convolve(const ConvolutionSizes& s, Terms terms, InLanes<const T> bias, ConvolutionResult<T> y) override {
    if (bias.data != nullptr) add_channels(s, bias, y);
    y.accumulate = y.accumulate || bias.data != nullptr;
    for (const auto& [x, w] : terms) {
      convolve_one(s, x, w, y);
      y.accumulate = true;
    }
  }
  void spread(const ConvolutionSizes& s, Terms terms, ConvolutionResult<T> x) override {
    for (const auto& [dy, w] : terms) {
      spread_one(s, dy, w, x);
      x.accumulate = true;
    }
  }
  void correlate(const ConvolutionSizes& s, Terms terms, ConvolutionResult<T> w) override {
    for (const auto& [dy, x] : terms) {
      correlate_one(s, dy, x, w);
      w.accumulate = true;
    }
  }

  /// cols[patch][images * pixels] of one group of samples first, first + 1, ...
  void columns(const ConvolutionSizes& s, const T* x, Index group, Index first, Index images, T* cols) {
    columns(s, {first, images, group, cols, nullptr, true}, {x, 0});
  }

 private:
  struct Chunk {
    Index first, images, group;
    T *cols, *wide;
    bool is_first;
  };
  static Index weights(const ConvolutionSizes& s) { return s.out * s.g.patch(); }
  static Index lanes_of(const ConvolutionSizes& s, InLanes<const T> operand) {
    return operand.stride == 0 ? 1 : s.lanes;
  }

  /// Calls body for every (chunk of samples, group) with scratch for the column and output matrices of all lanes.
  template <class Body>
  void each_chunk(const ConvolutionSizes& s, const Body& body) {
    const Index per_image = s.lanes * (s.g.patch() + s.out) * s.g.pixels() * static_cast<Index>(sizeof(T));
    const Index most = std::clamp<Index>(ops_.chunk_bytes() / std::max<Index>(per_image, 1), 1, s.images);
    Scratch scratch(ops_.context());
    T* cols = scratch.take<T>(s.lanes * s.g.patch() * most * s.g.pixels());
    T* wide = scratch.take<T>(s.lanes * s.out * most * s.g.pixels());
    for (Index first = 0; first < s.images; first += most)
      for (Index group = 0; group < s.groups; ++group)
        body({first, std::min(most, s.images - first), group, cols, wide, first == 0});
  }

  template <class U>
  static U* group_images(const ConvolutionSizes& s, const Chunk& k, U* x) {
    return x + k.first * s.g.image() + k.group * s.g.channels * s.g.h * s.g.w;
  }
  template <class U>
  static U* group_outputs(const ConvolutionSizes& s, const Chunk& k, U* y) {
    return y + (k.first * s.groups + k.group) * s.out * s.g.pixels();
  }

  void columns(const ConvolutionSizes& s, const Chunk& k, InLanes<const T> x) {
    ops_.for_each(lanes_of(s, x) * s.g.patch() * k.images * s.g.oh, s.g.ow,
                  Im2Col<T>{s.g, group_images(s, k, x.data), x.stride, k.cols, k.images});
  }
  void to_wide(const ConvolutionSizes& s, const Chunk& k, InLanes<const T> y) {
    ops_.for_each(lanes_of(s, y) * k.images * s.out, s.g.pixels(),
                  ImagesToWide<T>{group_outputs(s, k, y.data), k.wide, y.stride, k.images, s.out, s.g.pixels(),
                                  s.groups * s.out * s.g.pixels()});
  }
  void add_channels(const ConvolutionSizes& s, InLanes<const T> b, const ConvolutionResult<T>& y) {
    const Index channels = s.groups * s.out;
    ops_.for_each(
        s.lanes * s.images * channels, s.g.pixels(),
        AddToChannels<T>{b.data, b.stride, y.to.data, y.to.stride, s.images, channels, s.g.pixels(), y.accumulate});
  }

  /// y_k (+)= W_k * x_k
  void convolve_one(const ConvolutionSizes& s, InLanes<const T> x, InLanes<const T> w, const ConvolutionResult<T>& y) {
    each_chunk(s, [&](const Chunk& k) {
      columns(s, k, x);
      const Index width = k.images * s.g.pixels(), patch = s.g.patch();
      GemmArgs<T> a{s.out, width,  patch, w.data + k.group * weights(s), patch, false, k.cols, width,
                    false, k.wide, width};
      a.batch = s.lanes;
      a.stride_a = w.stride;
      a.stride_b = x.stride == 0 ? 0 : patch * width;
      a.stride_c = s.out * width;
      ops_.gemm(a);
      ops_.for_each(s.lanes * k.images * s.out, s.g.pixels(),
                    WideToImages<T>{k.wide, group_outputs(s, k, y.to.data), y.to.stride, k.images, s.out, s.g.pixels(),
                                    s.groups * s.out * s.g.pixels(), y.accumulate});
    });
  }

  /// x_k (+)= the columns W_k' dy_k, folded back.
  void spread_one(const ConvolutionSizes& s, InLanes<const T> dy, InLanes<const T> w, const ConvolutionResult<T>& x) {
    each_chunk(s, [&](const Chunk& k) {
      to_wide(s, k, dy);
      const Index width = k.images * s.g.pixels(), patch = s.g.patch();
      GemmArgs<T> a{patch, width,  s.out, w.data + k.group * weights(s), patch, true, k.wide, width,
                    false, k.cols, width};
      a.batch = s.lanes;
      a.stride_a = w.stride;
      a.stride_b = dy.stride == 0 ? 0 : s.out * width;
      a.stride_c = patch * width;
      ops_.gemm(a);
      ops_.for_each(s.lanes * k.images * s.g.channels * s.g.h, s.g.w,
                    Col2Im<T>{s.g, k.cols, group_images(s, k, x.to.data), x.to.stride, k.images, x.accumulate});
    });
  }

  /// W_k (+)= dy_k columns(x_k)', summed over the chunks in order.
  void correlate_one(const ConvolutionSizes& s, InLanes<const T> dy, InLanes<const T> x,
                     const ConvolutionResult<T>& w) {
    each_chunk(s, [&](const Chunk& k) {
      columns(s, k, x);
      to_wide(s, k, dy);
      const Index width = k.images * s.g.pixels(), patch = s.g.patch();
      GemmArgs<T> a{s.out, patch, width, k.wide, width, false, k.cols, width, true, w.to.data + k.group * weights(s),
                    patch};
      a.beta = k.is_first && !w.accumulate ? T(0) : T(1);
      a.batch = s.lanes;
      a.stride_a = dy.stride == 0 ? 0 : s.out * width;
      a.stride_b = x.stride == 0 ? 0 : patch * width;
      a.stride_c = w.to.stride;
      ops_.gemm(a);
    });
  }

  Ops<T>& ops_;
};

}  // namespace hso::detail
