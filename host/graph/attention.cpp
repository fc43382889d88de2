// SPDX-License-Identifier: Apache-2.0
//
// Products of matrices that both come from the data, softmax, and the exchange of two axes: attention is made of them.
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// y = scale a b or scale a b'. Bilinear. A product of lanes with one lane is made lane by lane, each a batch of all
/// its matrices.
template <class T>
class MatMul final : public Op<T> {
 public:
  MatMul(bool transpose_b, double scale) : transpose_b_(transpose_b), scale_(static_cast<T>(scale)) {}
  std::string_view name() const override { return "matmul"; }
  BatchRule batch_rule() const override { return BatchRule::all_must; }
  Shape infer(Span<const Shape> in) const override {
    const Shape &a = in[0], &b = in[1];
    const int rank = a.rank();
    bool fits = rank >= 2 && b.rank() == rank;
    for (int i = 0; fits && i + 2 < rank; ++i) fits = a[i] == b[i];
    if (!fits || a[rank - 1] != b[rank - (transpose_b_ ? 1 : 2)])
      throw InputError(fmt::format("matmul: {} and {}{}, expected [..., m, k] and [..., {}]", a.to_string(),
                                   b.to_string(), transpose_b_ ? " transposed" : "", transpose_b_ ? "n, k" : "k, n"));
    Shape y = a;
    y[rank - 1] = b[rank - (transpose_b_ ? 2 : 1)];
    return y;
  }

  void forward(Ops<T>& ops, const Point<T>& p) const override { product(ops, p, p.x[0], p.x[1], {p.y, false}); }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    if (Rx[0]) product(ops, p, Rx[0], p.x[1], Ry.write());
    if (Rx[1]) product(ops, p, p.x[0], Rx[1], Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) to_a(ops, p, dy, p.x[1], dx[0].write());
    if (dx[1]) to_b(ops, p, dy, p.x[0], dx[1].write());
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T>,
             Span<const Sink<T>> Rdx) const override {
    if (Rdx[0] && Rx[1]) to_a(ops, p, dy, Rx[1], Rdx[0].write());
    if (Rdx[1] && Rx[0]) to_b(ops, p, dy, Rx[0], Rdx[1].write());
  }

 private:
  using Target = typename Sink<T>::Target;
  struct Sizes {
    Index m, n, k, matrices;
  };
  static Sizes sizes(const Point<T>& p) {
    const Shape &a = p.x[0].shape, &y = p.y.shape;
    const Index m = y[y.rank() - 2], n = y[y.rank() - 1];
    return {m, n, a[a.rank() - 1], p.y.size() / (m * n)};
  }

  /// y (+)= scale a op(b)
  void product(Ops<T>& ops, const Point<T>& p, const View<T>& a, const View<T>& b, const Target& y) const {
    const Sizes s = sizes(p);
    lanes(ops, s, {s.m, s.n, s.k, a.data, s.k, false, b.data, transpose_b_ ? s.k : s.n, transpose_b_, nullptr, s.n}, a,
          b, y);
  }
  /// da (+)= scale dy op(b)'
  void to_a(Ops<T>& ops, const Point<T>& p, const View<T>& dy, const View<T>& b, const Target& da) const {
    const Sizes s = sizes(p);
    lanes(ops, s, {s.m, s.k, s.n, dy.data, s.n, false, b.data, transpose_b_ ? s.k : s.n, !transpose_b_, nullptr, s.k},
          dy, b, da);
  }
  /// db (+)= scale a' dy, or scale dy' a
  void to_b(Ops<T>& ops, const Point<T>& p, const View<T>& dy, const View<T>& a, const Target& db) const {
    const Sizes s = sizes(p);
    if (transpose_b_)
      lanes(ops, s, {s.n, s.k, s.m, dy.data, s.n, true, a.data, s.k, false, nullptr, s.k}, dy, a, db);
    else
      lanes(ops, s, {s.k, s.n, s.m, a.data, s.k, true, dy.data, s.n, false, nullptr, s.n}, a, dy, db);
  }
  void lanes(Ops<T>& ops, const Sizes& s, GemmArgs<T> args, const View<T>& a, const View<T>& b, const Target& c) const {
    args.alpha = scale_;
    args.beta = c.beta();
    args.batch = s.matrices;
    args.stride_a = a.size() / s.matrices;
    args.stride_b = b.size() / s.matrices;
    args.stride_c = c.view.size() / s.matrices;
    for (Index lane = 0; lane < c.view.lanes; ++lane) {
      args.a = a.lane(a.lanes > 1 ? lane : 0);
      args.b = b.lane(b.lanes > 1 ? lane : 0);
      args.c = c.view.lane(lane);
      ops.gemm(args);
    }
  }

  bool transpose_b_;
  T scale_;
};

/// p = softmax(x) in rows along the last axis; of row i of a square matrix, where it is causal, the first i + 1
/// numbers.
template <class T>
class Softmax final : public Op<T> {
 public:
  explicit Softmax(bool causal) : causal_(causal) {}
  std::string_view name() const override { return "softmax"; }
  Shape infer(Span<const Shape> in) const override {
    const Shape& x = in[0];
    const bool square = x.rank() >= 2 && x[x.rank() - 1] == x[x.rank() - 2];
    if (x.rank() < 1 || (causal_ && !square))
      throw InputError(fmt::format("softmax: {}, expected {}", x.to_string(),
                                   causal_ ? "[..., steps, steps] where it is causal" : "one axis at least"));
    return x;
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    const Index cols = columns(p), n = rows(p), steps = causal_ ? cols : 0;
    Scratch scratch(ops.context());
    T* per_row = scratch.take<T>(n);
    ops.for_each(n, 1, RowMaximum<T>{p.x[0].data, per_row, cols, steps});
    ops.for_each(n, cols, SoftmaxTerms<T>{p.x[0].data, per_row, p.y.data, cols, steps});
    ops.sum_columns({1, n, cols, p.y.data, 0, per_row, n, T(0)});
    ops.for_each(n, cols, DivideRows<T>{p.y.data, per_row, p.y.data, cols});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    first(ops, p, Rx[0], Ry);
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) first(ops, p, dy, dx[0]);
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>>, View<T> Ry,
             Span<const Sink<T>> Rdx) const override {
    if (!Rdx[0] || !Ry) return;
    const Index n = rows(p);
    Scratch scratch(ops.context());
    T* with = sum_of_products(ops, p, p.y, dy, scratch);
    T* bend = sum_of_products(ops, p, dy, Ry, scratch);
    const auto out = Rdx[0].write();
    ops.for_each(out.view.lanes * n, columns(p),
                 SoftmaxSecond<T>{p.y.data, dy.data, with, Ry.data, Ry.lane_stride, bend, out.view.data,
                                  out.view.lane_stride, n, columns(p), out.accumulate});
  }

 private:
  static Index columns(const Point<T>& p) { return p.y.shape[p.y.shape.rank() - 1]; }
  static Index rows(const Point<T>& p) { return p.y.size() / columns(p); }
  /// [lanes][rows]: the sums of d x_lane over rows
  static T* sum_of_products(Ops<T>& ops, const Point<T>& p, const View<T>& d, const View<T>& x, Scratch& scratch) {
    const Index size = p.y.size(), n = rows(p);
    T* to = scratch.take<T>(x.lanes * n);
    Scratch inner(ops.context());
    T* work = inner.take<T>(x.lanes * size);
    ops.for_each(x.lanes, size, Scale<T>{d.data, x.data, x.lane_stride, work, size, false});
    ops.sum_columns({x.lanes, n, columns(p), work, size, to, n, T(0)});
    return to;
  }
  static void first(Ops<T>& ops, const Point<T>& p, const View<T>& v, const Sink<T>& sink) {
    const Index n = rows(p);
    Scratch scratch(ops.context());
    const T* with = sum_of_products(ops, p, p.y, v, scratch);
    const auto out = sink.write();
    ops.for_each(out.view.lanes * n, columns(p),
                 SoftmaxFirst<T>{p.y.data, v.data, v.lane_stride, with, out.view.data, out.view.lane_stride, n,
                                 columns(p), out.accumulate});
  }

  bool causal_;
};

/// The axis counts from the last one: the batch, where there is one, is an axis more in front.
template <class T>
class Transpose final : public Op<T> {
 public:
  explicit Transpose(int from_end) : from_end_(from_end) {}
  std::string_view name() const override { return "transpose"; }
  Shape infer(Span<const Shape> in) const override {
    Shape y = in[0];
    const int axis = y.rank() - from_end_;
    if (axis < 0 || axis + 1 >= y.rank())
      throw InputError(fmt::format("transpose: {} has no axes {} and {}, expected two that are there", y.to_string(),
                                   axis, axis + 1));
    std::swap(y[axis], y[axis + 1]);
    return y;
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override { swap(ops, p.x[0], p.x[0].shape, {p.y, false}); }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    swap(ops, Rx[0], p.x[0].shape, Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) swap(ops, dy, p.y.shape, dx[0].write());
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  void swap(Ops<T>& ops, const View<T>& from, const Shape& shape, const typename Sink<T>::Target& to) const {
    const int axis = shape.rank() - from_end_;
    Index cols = 1;
    for (int i = axis + 2; i < shape.rank(); ++i) cols *= shape[i];
    const Index first = shape[axis], second = shape[axis + 1];
    const Index count = shape.size() / (first * second * cols);
    ops.for_each(to.view.lanes * count * first * second, cols,
                 SwapAxes<T>{from.data, from.lane_stride, to.view.data, to.view.lane_stride, count, first, second, cols,
                             to.accumulate});
  }
  int from_end_;
};

}  // namespace
}  // namespace detail

template <class T>
Node matmul(Graph<T>& g, Node a, Node b, bool transpose_b, double scale) {
  return g.apply(std::make_unique<detail::MatMul<T>>(transpose_b, scale), {a, b});
}
template <class T>
Node softmax(Graph<T>& g, Node x, bool causal) {
  return g.apply(std::make_unique<detail::Softmax<T>>(causal), {x});
}
template <class T>
Node transpose(Graph<T>& g, Node x, int axis) {
  return g.apply(std::make_unique<detail::Transpose<T>>(g[x].shape.rank() - axis), {x});
}

template Node matmul(Graph<float>&, Node, Node, bool, double);
template Node matmul(Graph<double>&, Node, Node, bool, double);
template Node softmax(Graph<float>&, Node, bool);
template Node softmax(Graph<double>&, Node, bool);
template Node transpose(Graph<float>&, Node, int);
template Node transpose(Graph<double>&, Node, int);

}  // namespace hso
