// SPDX-License-Identifier: Apache-2.0
//
// The rules of u = (x - m) r for groups of numbers that share mean m and deviation 1 / r, which depend on x. What the
// groups are, and how their sums are made, is for the ops to say.
#pragma once

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/op.hpp"

namespace hso::detail {

template <class T>
class Normalization : public Op<T> {
 public:
  Index kept_size(Span<const Shape>, const Shape& y) const override { return groups_of(y).groups; }

  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    Scratch scratch(ops.context());
    first(ops, p, Rx[0], Ry, scratch.take<T>(Rx[0].lanes * groups(p).groups), p.kept);
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (!dx[0]) return;
    const Index n = dy.lanes * groups(p).groups;
    Scratch scratch(ops.context());
    T* total = scratch.take<T>(2 * n);
    first(ops, p, dy, dx[0], total, total + n);
  }
  void backward(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) first(ops, p, dy, dx[0], adjoint_sums(p), adjoint_sums(p) + groups(p).groups);
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T> Ry,
             Span<const Sink<T>> Rdx) const override {
    if (!Rdx[0] || !Rx[0]) return;
    const Groups g = groups(p);
    const Index lanes = Rx[0].lanes;
    Scratch scratch(ops.context());
    T* bend = scratch.take<T>(lanes * g.groups);
    sums_of_products(ops, p, dy, Ry, bend);
    const T* of_dy = adjoint_sums(p);
    const auto out = Rdx[0].write();
    ops.for_each(lanes * g.samples * g.groups, g.cols,
                 NormSecond<T>{p.y.data, deviations(p), dy.data, of_dy, of_dy + g.groups, Ry.data, Ry.lane_stride,
                               p.kept, bend, out.view.data, out.view.lane_stride, g.groups, g.samples, g.cols, g.share,
                               g.each, out.accumulate});
  }

 protected:
  /// [samples][groups][cols]; norm.hpp of the elements has share and each.
  struct Groups {
    Index groups, samples, cols;
    T share, each;
  };
  /// From the full shape of y.
  virtual Groups groups_of(const Shape& y) const = 0;
  Groups groups(const Point<T>& p) const { return groups_of(p.y.shape); }
  /// Saved: r of every row of a group, which forward leaves; then the sums of dy and of u dy, which backward leaves for
  /// cross, as jvp leaves those of u Rx; then what is the op's own.
  T* deviations(const Point<T>& p) const { return static_cast<T*>(p.saved); }
  T* adjoint_sums(const Point<T>& p) const { return deviations(p) + groups(p).samples * groups(p).groups; }
  T* own(const Point<T>& p) const { return adjoint_sums(p) + 2 * groups(p).groups; }
  /// to[lanes][groups]: sums of x, or means where share and each are 1.
  virtual void sums(Ops<T>& ops, const Point<T>& p, const View<T>& x, T* to) const = 0;

  /// Sums of x, and of (x - m)^2.
  void moments(Ops<T>& ops, const Point<T>& p, T* first, T* second) const {
    const Groups g = groups(p);
    Scratch scratch(ops.context());
    T* work = scratch.take<T>(p.y.size());
    sums(ops, p, p.x[0], first);
    ops.for_each(g.samples * g.groups, g.cols, CenteredSquare<T>{p.x[0].data, first, work, g.groups, g.cols, g.share});
    sums(ops, p, {work, p.y.shape, 1, p.y.size()}, second);
  }
  /// y from the sums of x and the deviations.
  void set_values(Ops<T>& ops, const Point<T>& p, const T* sum_of_x) const {
    const Groups g = groups(p);
    ops.for_each(g.samples * g.groups, g.cols,
                 NormValue<T>{p.x[0].data, sum_of_x, deviations(p), p.y.data, g.groups, g.cols, g.share});
  }

 private:
  void sums_of_products(Ops<T>& ops, const Point<T>& p, const View<T>& d, const View<T>& x, T* to) const {
    const Index size = p.y.size();
    Scratch scratch(ops.context());
    T* work = scratch.take<T>(x.lanes * size);
    ops.for_each(x.lanes, size, Scale<T>{d.data, x.data, x.lane_stride, work, size, false});
    sums(ops, p, {work, p.y.shape, x.lanes, size}, to);
  }
  /// The sums of v and of u v go to `total` and `with`.
  void first(Ops<T>& ops, const Point<T>& p, const View<T>& v, const Sink<T>& sink, T* total, T* with) const {
    const Groups g = groups(p);
    sums(ops, p, v, total);
    sums_of_products(ops, p, p.y, v, with);
    const auto out = sink.write();
    ops.for_each(out.view.lanes * g.samples * g.groups, g.cols,
                 NormFirst<T>{p.y.data, deviations(p), v.data, v.lane_stride, total, with, out.view.data,
                              out.view.lane_stride, g.groups, g.samples, g.cols, g.share, g.each, out.accumulate});
  }
};

}  // namespace hso::detail
