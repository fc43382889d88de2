// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// Every rule is one or two products with the column matrix of a chunk of samples, all lanes at once; dW sums over
/// samples inside the product because the chunk's columns lie side by side.
template <class T>
class Conv2d final : public Op<T>, public ProductLayer<T> {
 public:
  explicit Conv2d(const Conv2dOptions& options) : o_(options) {}
  std::string_view name() const override { return "conv2d"; }
  BatchRule batch_rule() const override { return BatchRule::first_must; }

  Shape infer(Span<const Shape> in) const override {
    const Shape &x = in[0], &w = in[1];
    const Index groups = o_.groups;
    if (x.rank() != 3 || w.rank() != 4 || groups < 1 || w[1] * groups != x[0] || w[0] % groups != 0)
      throw InputError(
          fmt::format("conv2d: input {} does not fit weight {} with groups = {}; expected [C, H, W] and "
                      "[out, C / groups, kh, kw] with out a multiple of groups",
                      x.to_string(), w.to_string(), groups));
    if (in.size() == 3 && !(in[2] == Shape{w[0]}))
      throw InputError(
          fmt::format("conv2d: bias {} does not fit weight {}; expected [{}]", in[2].to_string(), w.to_string(), w[0]));
    return {w[0], extent(x[1], w[2], o_.stride_h, o_.padding_h, o_.dilation_h, x, w),
            extent(x[2], w[3], o_.stride_w, o_.padding_w, o_.dilation_w, x, w)};
  }

  void forward(Ops<T>& ops, const Point<T>& p) const override {
    const Plan c = plan(p);
    const bool bias = p.x.size() == 3;
    if (bias) add_channels(ops, p.x[2], p.y, c, false);
    View<T> y = p.y;
    each_chunk(ops, c, 1, [&](const Chunk& k) {
      columns(ops, c, k, p.x[0], 1);
      product(ops, c, k, p.x[1], 1);
      to_images(ops, c, k, y, 1, bias);
    });
  }

  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    const Plan c = plan(p);
    if (Rx[0]) convolve(ops, c, Rx[0], p.x[1], Ry.write());
    if (Rx[1]) convolve(ops, c, p.x[0], Rx[1], Ry.write());
    if (Rx.size() == 3 && Rx[2]) {
      const auto y = Ry.write();
      add_channels(ops, Rx[2], y.view, c, y.accumulate);
    }
  }

  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    const Plan c = plan(p);
    if (dx[0]) spread(ops, c, dy, p.x[1], dx[0].write());
    if (dx[1]) correlate(ops, c, dy, p.x[0], dx[1].write());
    if (dx.size() == 3 && dx[2]) sum_channels(ops, c, dy, dx[2].write());
  }

  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T>,
             Span<const Sink<T>> Rdx) const override {
    const Plan c = plan(p);
    if (Rdx[0] && Rx[1]) spread(ops, c, dy, Rx[1], Rdx[0].write());
    if (Rdx[1] && Rx[0]) correlate(ops, c, dy, Rx[0], Rdx[1].write());
  }

  const ProductLayer<T>* as_product() const override { return this; }
  Index worthwhile_lanes() const override { return 8; }
  ProductSizes product_sizes(Span<const Shape> in, const Shape& y) const override {
    const Shape& w = in[1];
    return {o_.groups, w[1] * w[2] * w[3], w[0] / o_.groups, y[1] * y[2]};
  }
  void input_rows(Ops<T>& ops, const Point<T>& p, Index group, Index first, Index samples, T* to) const override {
    columns(ops, plan(p), {first, samples, group, to, nullptr, true}, p.x[0], 1);
  }
  void output_rows(Ops<T>& ops, const Point<T>& p, const View<T>& dy, Index group, Index first, Index samples,
                   T* to) const override {
    const Plan c = plan(p);
    const Index pixels = c.g.pixels();
    ops.for_each(c.out * dy.lanes * samples, pixels,
                 ChannelRows<T>{dy.data + (first * c.groups + group) * c.out * pixels, dy.lane_stride,
                                c.groups * c.out * pixels, pixels, 1, to, dy.lanes, samples, pixels});
  }

 private:
  using Target = typename Sink<T>::Target;
  struct Plan {
    ConvGeometry g;
    Index groups, out, samples;  ///< out: channels of one group
    Index weight() const { return out * g.patch(); }
  };
  struct Chunk {
    Index first, images, group;
    T *cols, *wide;
    bool is_first;
  };

  static Index extent(Index in, Index kernel, Index stride, Index pad, Index dilation, const Shape& x, const Shape& w) {
    const Index reach = dilation * (kernel - 1) + 1;
    if (stride < 1 || dilation < 1 || pad < 0 || kernel < 1 || in + 2 * pad < reach)
      throw InputError(fmt::format("conv2d: kernel of {} (stride {}, padding {}, dilation {}) does not fit input {}",
                                   w.to_string(), stride, pad, dilation, x.to_string()));
    return (in + 2 * pad - reach) / stride + 1;
  }

  Plan plan(const Point<T>& p) const {
    const Shape &x = p.x[0].shape, &w = p.x[1].shape, &y = p.y.shape;
    ConvGeometry g{x[1],        w[1],         x[2],         x[3],          w[2],          w[3], o_.stride_h,
                   o_.stride_w, o_.padding_h, o_.padding_w, o_.dilation_h, o_.dilation_w, y[2], y[3]};
    return {g, o_.groups, w[0] / o_.groups, x[0]};
  }

  /// Calls body for every (chunk of samples, group) with scratch for `lanes` column and output matrices.
  template <class Body>
  static void each_chunk(Ops<T>& ops, const Plan& c, Index lanes, const Body& body) {
    const Index per_image = lanes * (c.g.patch() + c.out) * c.g.pixels() * static_cast<Index>(sizeof(T));
    const Index most = std::clamp<Index>(ops.chunk_bytes() / std::max<Index>(per_image, 1), 1, c.samples);
    Scratch scratch(ops.context());
    T* cols = scratch.take<T>(lanes * c.g.patch() * most * c.g.pixels());
    T* wide = scratch.take<T>(lanes * c.out * most * c.g.pixels());
    for (Index first = 0; first < c.samples; first += most)
      for (Index group = 0; group < c.groups; ++group)
        body({first, std::min(most, c.samples - first), group, cols, wide, first == 0});
  }

  static T* group_images(const Plan& c, const Chunk& k, const View<T>& x) {
    return x.data + k.first * c.g.image() + k.group * c.g.channels * c.g.h * c.g.w;
  }
  static T* group_outputs(const Plan& c, const Chunk& k, const View<T>& y) {
    return y.data + (k.first * c.groups + k.group) * c.out * c.g.pixels();
  }

  static void columns(Ops<T>& ops, const Plan& c, const Chunk& k, const View<T>& x, Index lanes) {
    ops.for_each(lanes * c.g.patch() * k.images * c.g.oh, c.g.ow,
                 Im2Col<T>{c.g, group_images(c, k, x), x.lane_stride, k.cols, k.images});
  }
  static void to_wide(Ops<T>& ops, const Plan& c, const Chunk& k, const View<T>& y, Index lanes) {
    ops.for_each(lanes * k.images * c.out, c.g.pixels(),
                 ImagesToWide<T>{group_outputs(c, k, y), k.wide, y.lane_stride, k.images, c.out, c.g.pixels(),
                                 c.groups * c.out * c.g.pixels()});
  }
  static void to_images(Ops<T>& ops, const Plan& c, const Chunk& k, const View<T>& y, Index lanes, bool accumulate) {
    ops.for_each(lanes * k.images * c.out, c.g.pixels(),
                 WideToImages<T>{k.wide, group_outputs(c, k, y), y.lane_stride, k.images, c.out, c.g.pixels(),
                                 c.groups * c.out * c.g.pixels(), accumulate});
  }
  static void add_channels(Ops<T>& ops, const View<T>& b, const View<T>& y, const Plan& c, bool accumulate) {
    const Index channels = c.groups * c.out;
    ops.for_each(
        y.lanes * c.samples * channels, c.g.pixels(),
        AddToChannels<T>{b.data, b.lane_stride, y.data, y.lane_stride, c.samples, channels, c.g.pixels(), accumulate});
  }

  /// wide_k = W_k cols_k for the chunk's group; a single lane of cols or W broadcasts.
  static void product(Ops<T>& ops, const Plan& c, const Chunk& k, const View<T>& w, Index lanes, Index cols_lanes = 1) {
    const Index width = k.images * c.g.pixels(), patch = c.g.patch();
    GemmArgs<T> a{c.out, width,  patch, w.data + k.group * c.weight(), patch, false, k.cols, width,
                  false, k.wide, width};
    a.batch = lanes;
    a.stride_a = w.lanes == 1 ? 0 : w.lane_stride;
    a.stride_b = cols_lanes == 1 ? 0 : patch * width;
    a.stride_c = c.out * width;
    ops.gemm(a);
  }

  /// y_k (+)= W_k * x_k
  static void convolve(Ops<T>& ops, const Plan& c, const View<T>& x, const View<T>& w, const Target& y) {
    each_chunk(ops, c, y.view.lanes, [&](const Chunk& k) {
      columns(ops, c, k, x, x.lanes);
      product(ops, c, k, w, y.view.lanes, x.lanes);
      to_images(ops, c, k, y.view, y.view.lanes, y.accumulate);
    });
  }

  /// dx_k (+)= the adjoint of convolve in x: columns_k = W_k' dy_k, folded back.
  static void spread(Ops<T>& ops, const Plan& c, const View<T>& dy, const View<T>& w, const Target& x) {
    const Index lanes = x.view.lanes;
    each_chunk(ops, c, lanes, [&](const Chunk& k) {
      to_wide(ops, c, k, dy, dy.lanes);
      const Index width = k.images * c.g.pixels(), patch = c.g.patch();
      GemmArgs<T> a{patch, width,  c.out, w.data + k.group * c.weight(), patch, true, k.wide, width,
                    false, k.cols, width};
      a.batch = lanes;
      a.stride_a = w.lanes == 1 ? 0 : w.lane_stride;
      a.stride_b = dy.lanes == 1 ? 0 : c.out * width;
      a.stride_c = patch * width;
      ops.gemm(a);
      ops.for_each(lanes * k.images * c.g.channels * c.g.h, c.g.w,
                   Col2Im<T>{c.g, k.cols, group_images(c, k, x.view), x.view.lane_stride, k.images, x.accumulate});
    });
  }

  /// dW_k (+)= the adjoint in W: dy_k columns(x_k)', summed over the chunks in order.
  static void correlate(Ops<T>& ops, const Plan& c, const View<T>& dy, const View<T>& x, const Target& w) {
    const Index lanes = w.view.lanes;
    each_chunk(ops, c, lanes, [&](const Chunk& k) {
      columns(ops, c, k, x, x.lanes);
      to_wide(ops, c, k, dy, dy.lanes);
      const Index width = k.images * c.g.pixels(), patch = c.g.patch();
      GemmArgs<T> a{c.out, patch, width, k.wide, width, false, k.cols, width, true, w.view.data + k.group * c.weight(),
                    patch};
      a.beta = k.is_first ? w.beta() : T(1);
      a.batch = lanes;
      a.stride_a = dy.lanes == 1 ? 0 : c.out * width;
      a.stride_b = x.lanes == 1 ? 0 : patch * width;
      a.stride_c = w.view.lane_stride;
      ops.gemm(a);
    });
  }

  /// db_k (+)= sum of dy_k over samples and pixels.
  static void sum_channels(Ops<T>& ops, const Plan& c, const View<T>& dy, const Target& b) {
    each_chunk(ops, c, dy.lanes, [&](const Chunk& k) {
      to_wide(ops, c, k, dy, dy.lanes);
      const Index width = k.images * c.g.pixels();
      ops.sum_columns({dy.lanes, c.out, width, k.wide, c.out * width, b.view.data + k.group * c.out, b.view.lane_stride,
                       k.is_first ? b.beta() : T(1)});
    });
  }

  Conv2dOptions o_;
};

}  // namespace
}  // namespace detail

template <class T>
Node conv2d(Graph<T>& g, Node x, Node weight, Node bias, const Conv2dOptions& options) {
  std::vector<Node> inputs{x, weight};
  if (bias != kNoNode) inputs.push_back(bias);
  return g.apply(std::make_unique<detail::Conv2d<T>>(options), std::move(inputs));
}

template Node conv2d(Graph<float>&, Node, Node, Node, const Conv2dOptions&);
template Node conv2d(Graph<double>&, Node, Node, Node, const Conv2dOptions&);

}  // namespace hso
