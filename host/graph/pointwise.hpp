// SPDX-License-Identifier: Apache-2.0
//
// y_i = f(x_i), for every F with value, d1 and d2 (detail/elements/activation.hpp, functions.hpp).
#pragma once

#include "hsogpu/detail/op.hpp"

namespace hso::detail {

template <class T, class F>
class Pointwise final : public Op<T> {
 public:
  Pointwise(F f, std::string_view name) : f_(f), name_(name) {}
  std::string_view name() const override { return name_; }
  Shape infer(Span<const Shape> in) const override { return in[0]; }

  void forward(Ops<T>& ops, const Point<T>& p) const override {
    ops.for_each(1, p.y.size(), ActivationValue<T, F>{f_, p.x[0].data, p.y.data});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    diagonal(ops, p, Rx[0], Ry);
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) diagonal(ops, p, dy, dx[0]);
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T>,
             Span<const Sink<T>> Rdx) const override {
    if (!F::kHasSecond || !Rdx[0]) return;  // piecewise linear: f'' = 0 wherever it exists
    const auto out = Rdx[0].write();
    ops.for_each(out.view.lanes, p.y.size(),
                 ActivationSecond<T, F>{f_, p.x[0].data, p.y.data, dy.data, Rx[0].data, Rx[0].lane_stride,
                                        out.view.data, out.view.lane_stride, out.accumulate});
  }
  void reverse(Ops<T>& ops, const Point<T>& p, const ReverseArgs<T>& r, Span<const Sink<T>> Rdx) const override {
    if (!Rdx[0]) return;
    const bool curved = F::kHasSecond && r.dy && r.Rx[0];
    if (!r.Rdy || (!curved && r.more == nullptr)) return Op<T>::reverse(ops, p, r, Rdx);
    if (!curved && F::kHasSecond) return add_then_reverse(ops, p, r, Rdx);
    const T* unused = p.x[0].data;
    const auto out = Rdx[0].write();
    ops.for_each(out.view.lanes, p.y.size(),
                 ActivationReverse<T, F>{f_, p.x[0].data, p.y.data, r.Rdy.data, r.more ? r.more : r.Rdy.data,
                                         r.Rdy.lane_stride, curved ? r.dy.data : unused, curved ? r.Rx[0].data : unused,
                                         curved ? r.Rx[0].lane_stride : 0, out.view.data, out.view.lane_stride,
                                         r.more != nullptr, out.accumulate});
  }
  bool completes_tangents() const override { return true; }
  void complete_jvp(Ops<T>& ops, const Point<T>& p, const Remainder<T>& left, View<T> Rx, Sink<T> Ry) const override {
    const auto out = Ry.write();
    const Index cols = left.bias.size(), rows = p.y.size() / cols;
    ops.for_each(out.view.lanes * rows, cols,
                 ActivationAfterBias<T, F>{f_, p.x[0].data, p.y.data, left.bias.data, left.bias.lane_stride, Rx.data,
                                           left.in_room ? left.room : Rx.data, Rx.lane_stride, out.view.data,
                                           out.view.lane_stride, rows, cols, left.in_room, out.accumulate});
  }

 private:
  void add_then_reverse(Ops<T>& ops, const Point<T>& p, ReverseArgs<T> r, Span<const Sink<T>> Rdx) const {
    const Index n = p.y.size();
    ops.for_each(1, n, Axpby<T>{T(1), r.more, n, T(1), r.Rdy.data, n});
    r.more = nullptr;
    Op<T>::reverse(ops, p, r, Rdx);
  }
  void diagonal(Ops<T>& ops, const Point<T>& p, const View<T>& in, const Sink<T>& sink) const {
    const auto out = sink.write();
    ops.for_each(out.view.lanes, p.y.size(),
                 ActivationFirst<T, F>{f_, p.x[0].data, p.y.data, in.data, in.lane_stride, out.view.data,
                                       out.view.lane_stride, out.accumulate});
  }
  F f_;
  std::string_view name_;
};

}  // namespace hso::detail
