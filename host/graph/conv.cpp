// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "graph/convolution_by_columns.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// Every rule is one or two of the products that detail/convolutions.hpp names.
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
    Terms terms;
    terms.add(p.x[0], p.x[1]);
    convolve(ops, p, terms, p.x.size() == 3 ? p.x[2] : View<T>{}, {p.y, false});
  }

  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    Terms terms;
    if (Rx[0]) terms.add(Rx[0], p.x[1]);
    if (Rx[1]) terms.add(p.x[0], Rx[1]);
    convolve(ops, p, terms, Rx.size() == 3 ? Rx[2] : View<T>{}, Ry.write());
  }

  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    reverse(ops, p, {.Rdy = dy, .dy = {}, .Rx = {}, .Ry = {}}, dx);
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T> Ry,
             Span<const Sink<T>> Rdx) const override {
    reverse(ops, p, {.Rdy = {}, .dy = dy, .Rx = Rx, .Ry = Ry}, Rdx);
  }
  /// Both terms of a result in one pass over it.
  void reverse(Ops<T>& ops, const Point<T>& p, const ReverseArgs<T>& r, Span<const Sink<T>> Rdx) const override {
    Terms to_x, to_w;
    if (r.Rdy) to_x.add(r.Rdy, p.x[1]);
    if (r.Rdy) to_w.add(r.Rdy, p.x[0]);
    if (r.dy && r.Rx[1]) to_x.add(r.dy, r.Rx[1]);
    if (r.dy && r.Rx[0]) to_w.add(r.dy, r.Rx[0]);
    if (Rdx[0] && to_x.count > 0) spread(ops, p, to_x, Rdx[0].write());
    if (Rdx[1] && to_w.count > 0) correlate(ops, p, to_w, Rdx[1].write());
    if (Rdx.size() == 3 && Rdx[2] && r.Rdy) sum_channels(ops, sizes(p, r.Rdy.lanes), r.Rdy, Rdx[2].write());
  }

  const ProductLayer<T>* as_product() const override { return this; }
  Index worthwhile_lanes() const override { return 8; }
  ProductSizes product_sizes(Span<const Shape> in, const Shape& y) const override {
    const Shape& w = in[1];
    return {o_.groups, w[1] * w[2] * w[3], w[0] / o_.groups, y[1] * y[2]};
  }
  void input_rows(Ops<T>& ops, const Point<T>& p, Index group, Index first, Index samples, T* to) const override {
    ConvolutionByColumns<T>(ops).columns(sizes(p, 1), p.x[0].data, group, first, samples, to);
  }
  void output_rows(Ops<T>& ops, const Point<T>& p, const View<T>& dy, Index group, Index first, Index samples,
                   T* to) const override {
    const ConvolutionSizes s = sizes(p, dy.lanes);
    const Index pixels = s.g.pixels();
    ops.for_each(s.out * dy.lanes * samples, pixels,
                 ChannelRows<T>{dy.data + (first * s.groups + group) * s.out * pixels, dy.lane_stride,
                                s.groups * s.out * pixels, pixels, 1, to, dy.lanes, samples, pixels});
  }

 private:
  using Target = typename Sink<T>::Target;
  struct Terms {
    ConvolutionTerm<T> list[ConvolutionTerm<T>::kMost];
    std::size_t count = 0;
    void add(const View<T>& a, const View<T>& b) { list[count++] = {operand(a), operand(b)}; }
    operator Span<const ConvolutionTerm<T>>() const { return {list, count}; }
  };
  static Index extent(Index in, Index kernel, Index stride, Index pad, Index dilation, const Shape& x, const Shape& w) {
    const Index reach = dilation * (kernel - 1) + 1;
    if (stride < 1 || dilation < 1 || pad < 0 || kernel < 1 || in + 2 * pad < reach)
      throw InputError(fmt::format("conv2d: kernel of {} (stride {}, padding {}, dilation {}) does not fit input {}",
                                   w.to_string(), stride, pad, dilation, x.to_string()));
    return (in + 2 * pad - reach) / stride + 1;
  }

  ConvolutionSizes sizes(const Point<T>& p, Index lanes) const {
    const Shape &x = p.x[0].shape, &w = p.x[1].shape, &y = p.y.shape;
    ConvGeometry g{x[1],        w[1],         x[2],         x[3],          w[2],          w[3], o_.stride_h,
                   o_.stride_w, o_.padding_h, o_.padding_w, o_.dilation_h, o_.dilation_w, y[2], y[3]};
    return {g, o_.groups, w[0] / o_.groups, x[0], lanes};
  }

  /// body(Convolutions<T>&): by what the backend has for these sizes.
  template <class Body>
  static void with_products(Ops<T>& ops, const ConvolutionSizes& s, const Body& body) {
    auto* own = dynamic_cast<Convolutions<T>*>(&ops);
    if (own != nullptr && own->takes(s)) return body(*own);
    ConvolutionByColumns<T> columns(ops);
    body(columns);
  }
  /// A single lane serves all of the result.
  static InLanes<const T> operand(const View<T>& v) { return {v.data, v.lanes == 1 ? 0 : v.lane_stride}; }

  void convolve(Ops<T>& ops, const Point<T>& p, const Terms& terms, const View<T>& bias, const Target& y) const {
    const ConvolutionSizes s = sizes(p, y.view.lanes);
    if (terms.count == 0)  // the tangent of the bias alone
      return ConvolutionByColumns<T>(ops).convolve(s, terms, operand(bias), result(y));
    with_products(ops, s, [&](Convolutions<T>& by) { by.convolve(s, terms, operand(bias), result(y)); });
  }
  void spread(Ops<T>& ops, const Point<T>& p, const Terms& terms, const Target& x) const {
    const ConvolutionSizes s = sizes(p, x.view.lanes);
    with_products(ops, s, [&](Convolutions<T>& by) { by.spread(s, terms, result(x)); });
  }
  void correlate(Ops<T>& ops, const Point<T>& p, const Terms& terms, const Target& w) const {
    const ConvolutionSizes s = sizes(p, w.view.lanes);
    with_products(ops, s, [&](Convolutions<T>& by) { by.correlate(s, terms, result(w)); });
  }
  static ConvolutionResult<T> result(const Target& t) { return {{t.view.data, t.view.lane_stride}, t.accumulate}; }

  /// db_k (+)= sum of dy_k over samples and pixels.
  static void sum_channels(Ops<T>& ops, const ConvolutionSizes& s, const View<T>& dy, const Target& b) {
    const Index channels = s.groups * s.out, planes = s.images * channels;
    Scratch scratch(ops.context());
    T* sums = scratch.take<T>(dy.lanes * planes);
    ops.sum_columns({dy.lanes, planes, s.g.pixels(), dy.data, dy.lane_stride, sums, planes, T(0)});
    ops.sum_rows({dy.lanes, s.images, channels, sums, planes, b.view.data, b.view.lane_stride, b.beta()});
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
