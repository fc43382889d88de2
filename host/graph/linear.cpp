// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// y [rows][out] = x [rows][in] W' + b. Bilinear in (x, W), so it has a second-order term.
template <class T>
class Linear final : public Op<T>, public ProductLayer<T> {
 public:
  std::string_view name() const override { return "linear"; }

  Shape infer(Span<const Shape> in) const override {
    const Shape &x = in[0], &w = in[1];
    if (x.rank() < 1 || w.rank() != 2 || x[x.rank() - 1] != w[1])
      throw InputError(fmt::format("linear: input {} does not fit weight {}; expected [..., in] and [out, in]",
                                   x.to_string(), w.to_string()));
    if (in.size() == 3 && !(in[2] == Shape{w[0]}))
      throw InputError(
          fmt::format("linear: bias {} does not fit weight {}; expected [{}]", in[2].to_string(), w.to_string(), w[0]));
    Shape y = x;
    y[y.rank() - 1] = w[0];
    return y;
  }

  void forward(Ops<T>& ops, const Point<T>& p) const override {
    const Sizes s = sizes(p);
    if (p.x.size() == 3) ops.for_each(s.rows, s.out, AddToRows<T>{p.x[2].data, 0, p.y.data, 0, s.rows, s.out, false});
    GemmArgs<T> a{s.rows, s.out, s.in, p.x[0].data, s.in, false, p.x[1].data, s.in, true, p.y.data, s.out};
    a.beta = p.x.size() == 3 ? T(1) : T(0);
    ops.gemm(a);
  }

  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    Remainder<T> left;
    begin_jvp(ops, p, Rx, Ry, left);
    if (left.bias) add_bias(ops, left.bias, sizes(p), Ry.write());
  }

  void begin_jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry,
                 Remainder<T>& left) const override {
    const Sizes s = sizes(p);
    const bool biased = Rx.size() == 3 && Rx[2];
    if (!Rx[0] && !Rx[1]) {
      if (biased) add_bias(ops, Rx[2], s, Ry.write());
      return;
    }
    if (biased) left.bias = Rx[2];
    if (biased && Rx[0] && Rx[1] && lie_in_order(p.x[0], Rx[0], Rx[1], p.x[1], left)) {
      const auto y = Ry.write();
      two_products(ops, {s.rows, s.out, s.in, p.x[0].data, s.in, false, Rx[1].data, s.in, true, y.view.data, s.out},
                   Rx[0].data, p.x[1].data, left);
      return;
    }
    if (Rx[0]) times_rows(ops, Rx[0], p.x[1].data, true, s.rows, s.in, s.out, Ry.write());
    if (Rx[1]) times_tangent(ops, p.x[0].data, Rx[1], s, Ry.write());
  }

  /// Rdx_0 = Rdy W + dy RW
  void reverse(Ops<T>& ops, const Point<T>& p, const ReverseArgs<T>& r, Span<const Sink<T>> Rdx) const override {
    const Sizes s = sizes(p);
    const bool both = r.left != nullptr && Rdx[0] && !Rdx[0].written() && r.Rdy && r.dy && r.Rx[1];
    if (!both || !lie_in_order(r.dy, r.Rdy, r.Rx[1], p.x[1], *r.left)) return Op<T>::reverse(ops, p, r, Rdx);
    const auto x = Rdx[0].write();
    two_products(ops, {s.rows, s.in, s.out, r.dy.data, s.out, false, r.Rx[1].data, s.in, false, x.view.data, s.in},
                 r.Rdy.data, p.x[1].data, *r.left);
    Sink<T> others[3];
    for (std::size_t i = 1; i < Rdx.size(); ++i) others[i] = Rdx[i];
    Op<T>::reverse(ops, p, r, Span<const Sink<T>>(others, Rdx.size()));
  }

  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    const Sizes s = sizes(p);
    if (dx[0]) times_rows(ops, dy, p.x[1].data, false, s.rows, s.out, s.in, dx[0].write());
    if (dx[1]) outer_products(ops, dy, p.x[0], s, dx[1].write());
    if (dx.size() == 3 && dx[2]) {
      const auto b = dx[2].write();
      ops.sum_rows({dy.lanes, s.rows, s.out, dy.data, dy.lane_stride, b.view.data, b.view.lane_stride, b.beta()});
    }
  }

  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T>,
             Span<const Sink<T>> Rdx) const override {
    const Sizes s = sizes(p);
    if (Rdx[0] && Rx[1]) adjoint_times_tangent(ops, dy.data, Rx[1], s, Rdx[0].write());
    if (Rdx[1] && Rx[0]) outer_products(ops, dy, Rx[0], s, Rdx[1].write());
  }

  const ProductLayer<T>* as_product() const override { return this; }
  ProductSizes product_sizes(Span<const Shape> in, const Shape& y) const override {
    return {1, in[1][1], in[1][0], y.size() / in[1][0]};
  }
  void input_rows(Ops<T>& ops, const Point<T>& p, Index, Index first, Index samples, T* to) const override {
    channel_rows(ops, p, p.x[0], sizes(p).in, first, samples, to);
  }
  void output_rows(Ops<T>& ops, const Point<T>& p, const View<T>& dy, Index, Index first, Index samples,
                   T* to) const override {
    channel_rows(ops, p, dy, sizes(p).out, first, samples, to);
  }

 private:
  using Target = typename Sink<T>::Target;
  struct Sizes {
    Index rows, in, out;
  };
  static Sizes sizes(const Point<T>& p) {
    const Index in = p.x[1].shape[1];
    return {p.x[0].size() / in, in, p.x[1].shape[0]};
  }

  static void add_bias(Ops<T>& ops, const View<T>& b, const Sizes& s, const Target& y) {
    ops.for_each(y.view.lanes * s.rows, s.out,
                 AddToRows<T>{b.data, b.lane_stride, y.view.data, y.view.lane_stride, s.rows, s.out, y.accumulate});
  }

  /// The strides of a batch of two must not be negative.
  static bool lie_in_order(const View<T>& a, const View<T>& next_a, const View<T>& b, const View<T>& next_b,
                           const Remainder<T>& left) {
    return left.room != nullptr && a.data < next_a.data && b.data < next_b.data;
  }

  /// The product `args`, and that of a and b into the room left for it, as one batch of two.
  static void two_products(Ops<T>& ops, GemmArgs<T> args, const T* a, const T* b, Remainder<T>& left) {
    args.batch = 2;
    args.stride_a = a - args.a;
    args.stride_b = b - args.b;
    args.stride_c = left.room - args.c;
    ops.gemm(args);
    left.in_room = true;
  }

  /// The transpose, lane by lane: to[channel][lane][row].
  static void channel_rows(Ops<T>& ops, const Point<T>& p, const View<T>& x, Index channels, Index first, Index samples,
                           T* to) {
    const Index positions = sizes(p).rows / p.x[0].shape[0], rows = samples * positions;
    ops.for_each(
        channels * x.lanes, rows,
        ChannelRows<T>{x.data + first * positions * channels, x.lane_stride, 0, 1, channels, to, x.lanes, 1, rows});
  }

  /// y_k [rows][to] (+)= x_k [rows][from] W (or W'): one wide product when the lanes lie end to end.
  static void times_rows(Ops<T>& ops, const View<T>& x, const T* w, bool transpose, Index rows, Index from, Index to,
                         const Target& y) {
    const bool wide = x.lane_stride == rows * from && y.view.lane_stride == rows * to;
    GemmArgs<T> a{rows, to, from, x.data, from, false, w, transpose ? from : to, transpose, y.view.data, to};
    a.beta = y.beta();
    if (wide) {
      a.m = rows * y.view.lanes;
    } else {
      a.batch = y.view.lanes;
      a.stride_a = x.lane_stride;
      a.stride_c = y.view.lane_stride;
    }
    ops.gemm(a);
  }

  /// y_k (+)= x RW_k'
  static void times_tangent(Ops<T>& ops, const T* x, const View<T>& rw, const Sizes& s, const Target& y) {
    if (rw.one_hot != nullptr) {
      ops.for_each(y.view.lanes * s.rows, s.out,
                   UnitWeightJvp<T>{x, y.view.data, y.view.lane_stride, rw.one_hot, s.rows, s.in, s.out, y.accumulate});
      return;
    }
    GemmArgs<T> a{s.rows, s.out, s.in, x, s.in, false, rw.data, s.in, true, y.view.data, s.out};
    a.beta = y.beta();
    a.batch = y.view.lanes;
    a.stride_b = rw.lane_stride;
    a.stride_c = y.view.lane_stride;
    ops.gemm(a);
  }

  /// Rdx_k (+)= dy RW_k
  static void adjoint_times_tangent(Ops<T>& ops, const T* dy, const View<T>& rw, const Sizes& s, const Target& x) {
    if (rw.one_hot != nullptr) {
      ops.for_each(
          x.view.lanes * s.rows, s.in,
          UnitWeightCross<T>{dy, x.view.data, x.view.lane_stride, rw.one_hot, s.rows, s.in, s.out, x.accumulate});
      return;
    }
    GemmArgs<T> a{s.rows, s.in, s.out, dy, s.out, false, rw.data, s.in, false, x.view.data, s.in};
    a.beta = x.beta();
    a.batch = x.view.lanes;
    a.stride_b = rw.lane_stride;
    a.stride_c = x.view.lane_stride;
    ops.gemm(a);
  }

  /// dW_k (+)= dy_k' x_k; a single lane of either broadcasts.
  static void outer_products(Ops<T>& ops, const View<T>& dy, const View<T>& x, const Sizes& s, const Target& w) {
    GemmArgs<T> a{s.out, s.in, s.rows, dy.data, s.out, true, x.data, s.in, false, w.view.data, s.in};
    a.beta = w.beta();
    a.batch = w.view.lanes;
    a.stride_a = dy.lanes == 1 ? 0 : dy.lane_stride;
    a.stride_b = x.lanes == 1 ? 0 : x.lane_stride;
    a.stride_c = w.view.lane_stride;
    ops.gemm(a);
  }
};

}  // namespace
}  // namespace detail

template <class T>
Node linear(Graph<T>& g, Node x, Node weight, Node bias) {
  std::vector<Node> inputs{x, weight};
  if (bias != kNoNode) inputs.push_back(bias);
  return g.apply(std::make_unique<detail::Linear<T>>(), std::move(inputs));
}

template Node linear(Graph<float>&, Node, Node, Node);
template Node linear(Graph<double>&, Node, Node, Node);

}  // namespace hso
