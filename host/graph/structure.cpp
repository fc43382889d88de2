// SPDX-License-Identifier: Apache-2.0
//
// Ops that move numbers or mask them: reshape, add, subtract, dropout. All linear, so `cross` has nothing to add.
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Reshape final : public Op<T> {
 public:
  explicit Reshape(const Shape& shape) : shape_(shape) {}
  std::string_view name() const override { return "reshape"; }
  Shape infer(Span<const Shape> in) const override {
    if (in[0].size() != shape_.size())
      throw InputError(fmt::format("reshape: {} has {} entries, {} has {}", in[0].to_string(), in[0].size(),
                                   shape_.to_string(), shape_.size()));
    return shape_;
  }
  bool is_alias() const override { return true; }
  void forward(Ops<T>&, const Point<T>&) const override {}
  void jvp(Ops<T>&, const Point<T>&, Span<const View<T>>, Sink<T>) const override {}
  void vjp(Ops<T>&, const Point<T>&, View<T>, Span<const Sink<T>>) const override {}
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  Shape shape_;
};

/// a + sign b
template <class T>
class Add final : public Op<T> {
 public:
  explicit Add(T sign) : sign_{T(1), sign} {}
  std::string_view name() const override { return sign_[1] > 0 ? "add" : "subtract"; }
  BatchRule batch_rule() const override { return BatchRule::all_equal; }
  Shape infer(Span<const Shape> in) const override {
    if (!(in[0] == in[1]))
      throw InputError(fmt::format("{}: {} and {} differ", name(), in[0].to_string(), in[1].to_string()));
    return in[0];
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    add(ops, T(1), p.x[0], {p.y, false});
    add(ops, sign_[1], p.x[1], {p.y, true});
  }
  void jvp(Ops<T>& ops, const Point<T>&, Span<const View<T>> Rx, Sink<T> Ry) const override {
    for (std::size_t i = 0; i < 2; ++i)
      if (Rx[i]) add(ops, sign_[i], Rx[i], Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>&, View<T> dy, Span<const Sink<T>> dx) const override {
    for (std::size_t i = 0; i < 2; ++i)
      if (dx[i]) add(ops, sign_[i], dy, dx[i].write());
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  static void add(Ops<T>& ops, T sign, const View<T>& x, const typename Sink<T>::Target& y) {
    ops.for_each(y.view.lanes, y.view.size(),
                 Axpby<T>{sign, x.data, x.lane_stride, y.beta(), y.view.data, y.view.lane_stride});
  }
  T sign_[2];
};

/// forward keeps the mask, so that every product at this point sees it, whatever happens to the step counter.
template <class T>
class Dropout final : public Op<T> {
 public:
  Dropout(double p, std::uint64_t seed, std::uint64_t layer) : p_(p), seed_(seed), layer_(layer) {}
  std::string_view name() const override { return "dropout"; }
  Shape infer(Span<const Shape> in) const override { return in[0]; }
  bool draws_by_row() const override { return true; }
  Index saved_bytes(Span<const Shape>, const Shape& y) const override {
    return y.size() * static_cast<Index>(sizeof(T));
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    const Index rows = p.rows != nullptr ? p.y.shape[0] : 1, cols = p.y.size() / rows;
    ops.for_each(rows, cols, DropoutMask<T>{mask(p), seed_, layer_, p.step, p.rows, cols, p.training ? p_ : 0.0});
    apply(ops, p, p.x[0], {p.y, false});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    apply(ops, p, Rx[0], Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) apply(ops, p, dy, dx[0].write());
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  static T* mask(const Point<T>& p) { return static_cast<T*>(p.saved); }
  static void apply(Ops<T>& ops, const Point<T>& p, const View<T>& x, const typename Sink<T>::Target& y) {
    ops.for_each(y.view.lanes, p.y.size(),
                 Scale<T>{mask(p), x.data, x.lane_stride, y.view.data, y.view.lane_stride, y.accumulate});
  }
  double p_;
  std::uint64_t seed_, layer_;
};

}  // namespace
}  // namespace detail

template <class T>
Node reshape(Graph<T>& g, Node x, const Shape& sample_shape) {
  return g.apply(std::make_unique<detail::Reshape<T>>(sample_shape), {x});
}
template <class T>
Node flatten(Graph<T>& g, Node x) {
  return reshape(g, x, Shape{g[x].shape.size()});
}
template <class T>
Node add(Graph<T>& g, Node a, Node b) {
  return g.apply(std::make_unique<detail::Add<T>>(T(1)), {a, b});
}
template <class T>
Node subtract(Graph<T>& g, Node a, Node b) {
  return g.apply(std::make_unique<detail::Add<T>>(T(-1)), {a, b});
}
template <class T>
Node dropout(Graph<T>& g, Node x, double p, std::uint64_t seed) {
  if (!(p >= 0 && p < 1)) throw InputError(fmt::format("dropout: p = {}, expected 0 <= p < 1", p));
  return g.apply(std::make_unique<detail::Dropout<T>>(p, seed, g.nodes().size()), {x});
}

template Node reshape(Graph<float>&, Node, const Shape&);
template Node reshape(Graph<double>&, Node, const Shape&);
template Node flatten(Graph<float>&, Node);
template Node flatten(Graph<double>&, Node);
template Node add(Graph<float>&, Node, Node);
template Node add(Graph<double>&, Node, Node);
template Node subtract(Graph<float>&, Node, Node);
template Node subtract(Graph<double>&, Node, Node);
template Node dropout(Graph<float>&, Node, double, std::uint64_t);
template Node dropout(Graph<double>&, Node, double, std::uint64_t);

}  // namespace hso
