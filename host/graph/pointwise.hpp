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

 private:
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
