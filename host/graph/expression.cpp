// SPDX-License-Identifier: Apache-2.0
//
// Ops of expressions: the product entry by entry, the sum over a sample, elementary functions.
#include <fmt/format.h>

#include "graph/pointwise.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// y = a b. Bilinear, so it has a second-order term; a and b may be one node.
template <class T>
class Multiply final : public Op<T> {
 public:
  std::string_view name() const override { return "multiply"; }
  BatchRule batch_rule() const override { return BatchRule::all_equal; }
  Shape infer(Span<const Shape> in) const override {
    if (!(in[0] == in[1]))
      throw InputError(fmt::format("multiply: {} and {} differ", in[0].to_string(), in[1].to_string()));
    return in[0];
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override { scale(ops, p.x[0], p.x[1], {p.y, false}); }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    for (std::size_t i = 0; i < 2; ++i)
      if (Rx[i]) scale(ops, p.x[1 - i], Rx[i], Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    for (std::size_t i = 0; i < 2; ++i)
      if (dx[i]) scale(ops, p.x[1 - i], dy, dx[i].write());
  }
  void cross(Ops<T>& ops, const Point<T>&, View<T> dy, Span<const View<T>> Rx, View<T>,
             Span<const Sink<T>> Rdx) const override {
    for (std::size_t i = 0; i < 2; ++i)
      if (Rdx[i] && Rx[1 - i]) scale(ops, dy, Rx[1 - i], Rdx[i].write());
  }

 private:
  /// y (+)= d x, d with one lane.
  static void scale(Ops<T>& ops, const View<T>& d, const View<T>& x, const typename Sink<T>::Target& y) {
    ops.for_each(y.view.lanes, y.view.size(),
                 Scale<T>{d.data, x.data, x.lane_stride, y.view.data, y.view.lane_stride, y.accumulate});
  }
};

/// y = the sum of a sample's entries: an interior node, or the loss itself. Linear.
template <class T>
class Sum final : public Op<T> {
 public:
  explicit Sum(bool is_loss) : is_loss_(is_loss) {}
  std::string_view name() const override { return is_loss_ ? "as_loss" : "sum"; }
  BatchRule batch_rule() const override { return is_loss_ ? BatchRule::all_must : BatchRule::first_may; }
  bool is_loss() const override { return is_loss_; }
  Shape infer(Span<const Shape>) const override { return {}; }
  void forward(Ops<T>& ops, const Point<T>& p) const override { total(ops, p, p.x[0], {p.y, false}); }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    total(ops, p, Rx[0], Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (!dx[0]) return;
    const auto x = dx[0].write();
    const Index rows = p.y.size(), cols = p.x[0].size() / rows;
    ops.for_each(x.view.lanes * rows, cols,
                 AddToColumns<T>{dy.data, dy.lane_stride, x.view.data, x.view.lane_stride, rows, cols, x.accumulate});
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  static void total(Ops<T>& ops, const Point<T>& p, const View<T>& x, const typename Sink<T>::Target& y) {
    const Index rows = p.y.size(), cols = p.x[0].size() / rows;
    ops.sum_columns({y.view.lanes, rows, cols, x.data, x.lane_stride, y.view.data, y.view.lane_stride, y.beta()});
  }
  bool is_loss_;
};

template <class T, class F>
Node function_of(Graph<T>& g, Node x, const char* name, F f = {}) {
  return g.apply(std::make_unique<Pointwise<T, F>>(f, name), {x});
}

}  // namespace
}  // namespace detail

template <class T>
Node multiply(Graph<T>& g, Node a, Node b) {
  return g.apply(std::make_unique<detail::Multiply<T>>(), {a, b});
}
template <class T>
Node affine(Graph<T>& g, Node x, double scale, double shift) {
  return detail::function_of(g, x, "affine", detail::AffineMap{scale, shift});
}
template <class T>
Node sum(Graph<T>& g, Node x) {
  return g.apply(std::make_unique<detail::Sum<T>>(false), {x});
}
template <class T>
Node as_loss(Graph<T>& g, Node x) {
  return g.apply(std::make_unique<detail::Sum<T>>(true), {x});
}
template <class T>
Node exp(Graph<T>& g, Node x) {
  return detail::function_of<T, detail::Exp>(g, x, "exp");
}
template <class T>
Node log(Graph<T>& g, Node x) {
  return detail::function_of<T, detail::Log>(g, x, "log");
}
template <class T>
Node sqrt(Graph<T>& g, Node x) {
  return detail::function_of<T, detail::Sqrt>(g, x, "sqrt");
}
template <class T>
Node reciprocal(Graph<T>& g, Node x) {
  return detail::function_of<T, detail::Inverse>(g, x, "reciprocal");
}
template <class T>
Node sin(Graph<T>& g, Node x) {
  return detail::function_of<T, detail::Sin>(g, x, "sin");
}
template <class T>
Node cos(Graph<T>& g, Node x) {
  return detail::function_of<T, detail::Cos>(g, x, "cos");
}
template <class T>
Node atan(Graph<T>& g, Node x) {
  return detail::function_of<T, detail::Atan>(g, x, "atan");
}

template Node multiply(Graph<float>&, Node, Node);
template Node multiply(Graph<double>&, Node, Node);
template Node affine(Graph<float>&, Node, double, double);
template Node affine(Graph<double>&, Node, double, double);
template Node sum(Graph<float>&, Node);
template Node sum(Graph<double>&, Node);
template Node as_loss(Graph<float>&, Node);
template Node as_loss(Graph<double>&, Node);
template Node exp(Graph<float>&, Node);
template Node exp(Graph<double>&, Node);
template Node log(Graph<float>&, Node);
template Node log(Graph<double>&, Node);
template Node sqrt(Graph<float>&, Node);
template Node sqrt(Graph<double>&, Node);
template Node reciprocal(Graph<float>&, Node);
template Node reciprocal(Graph<double>&, Node);
template Node sin(Graph<float>&, Node);
template Node sin(Graph<double>&, Node);
template Node cos(Graph<float>&, Node);
template Node cos(Graph<double>&, Node);
template Node atan(Graph<float>&, Node);
template Node atan(Graph<double>&, Node);

}  // namespace hso
