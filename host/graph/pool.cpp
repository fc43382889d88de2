// SPDX-License-Identifier: Apache-2.0
//
// Pooling is linear once the arg max is fixed, so `cross` has nothing to add.
#include <fmt/format.h>

#include <cstdint>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

PoolAxis window_axis(Index in, Index kernel, Index stride, Index pad, const char* op, const Shape& x) {
  if (stride == 0) stride = kernel;
  if (kernel < 1 || stride < 1 || pad < 0 || 2 * pad > kernel || in + 2 * pad < kernel)
    throw InputError(
        fmt::format("{}: window {} (stride {}, padding {}) does not fit input {}; padding is at most half "
                    "the window",
                    op, kernel, stride, pad, x.to_string()));
  return {in, (in + 2 * pad - kernel) / stride + 1, kernel, stride, pad, false};
}

/// Window bounds are found in 32-bit arithmetic.
PoolAxis adaptive_axis(Index in, Index out, const char* op, const Shape& x) {
  if (checked_multiply(in + 1, out + 1) > INT32_MAX)
    throw InputError(
        fmt::format("{}: {} windows along {} inputs of {}, expected a product below 2^31", op, out, in, x.to_string()));
  return {in, out, 1, 1, 0, true};
}

/// Where the windows lie, from the options of either kind.
struct Windows {
  Pool2dOptions options;
  Index out_h = 0, out_w = 0;  ///< adaptive when positive
  const char* op = "";

  PoolGeometry geometry(Index h, Index w, const Shape& x) const {
    if (out_h > 0) return {adaptive_axis(h, out_h, op, x), adaptive_axis(w, out_w, op, x)};
    return {window_axis(h, options.kernel_h, options.stride_h, options.padding_h, op, x),
            window_axis(w, options.kernel_w, options.stride_w, options.padding_w, op, x)};
  }
  Shape infer(const Shape& x) const {
    if (x.rank() != 3) throw InputError(fmt::format("{}: input {}, expected [C, H, W]", op, x.to_string()));
    const PoolGeometry g = geometry(x[1], x[2], x);
    return {x[0], g.y.out, g.x.out};
  }
  template <class T>
  PoolGeometry at(const Point<T>& p) const {
    return geometry(p.x[0].shape[2], p.x[0].shape[3], p.x[0].shape);
  }
};

template <class T>
Index planes(const Point<T>& p) {
  return p.y.shape[0] * p.y.shape[1];
}

template <class T>
class MaxPool final : public Op<T> {
 public:
  explicit MaxPool(const Pool2dOptions& options) : windows_{options, 0, 0, "maxpool2d"} {}
  std::string_view name() const override { return windows_.op; }
  BatchRule batch_rule() const override { return BatchRule::first_must; }
  Shape infer(Span<const Shape> in) const override { return windows_.infer(in[0]); }
  Index saved_bytes(Span<const Shape>, const Shape& y) const override {
    return y.size() * static_cast<Index>(sizeof(std::int32_t));
  }

  void forward(Ops<T>& ops, const Point<T>& p) const override {
    const PoolGeometry g = windows_.at(p);
    ops.for_each(planes(p) * g.y.out, g.x.out, MaxPoolValue<T>{g, p.x[0].data, p.y.data, where(p)});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    const PoolGeometry g = windows_.at(p);
    const auto y = Ry.write();
    ops.for_each(y.view.lanes * planes(p) * g.y.out, g.x.out,
                 MaxPoolJvp<T>{g, where(p), Rx[0].data, Rx[0].lane_stride, y.view.data, y.view.lane_stride, planes(p),
                               y.accumulate});
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (!dx[0]) return;
    const PoolGeometry g = windows_.at(p);
    const auto x = dx[0].write();
    ops.for_each(
        x.view.lanes * planes(p) * g.y.in, g.x.in,
        MaxPoolVjp<T>{g, where(p), dy.data, dy.lane_stride, x.view.data, x.view.lane_stride, planes(p), x.accumulate});
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  static std::int32_t* where(const Point<T>& p) { return static_cast<std::int32_t*>(p.saved); }
  Windows windows_;
};

template <class T>
class AvgPool final : public Op<T> {
 public:
  explicit AvgPool(const Windows& windows) : windows_(windows) {}
  std::string_view name() const override { return windows_.op; }
  BatchRule batch_rule() const override { return BatchRule::first_must; }
  Shape infer(Span<const Shape> in) const override { return windows_.infer(in[0]); }

  void forward(Ops<T>& ops, const Point<T>& p) const override { mean(ops, p, p.x[0], {p.y, false}); }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    mean(ops, p, Rx[0], Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (!dx[0]) return;
    const PoolGeometry g = windows_.at(p);
    const auto x = dx[0].write();
    launch<BoxSpread<T>, AvgPoolVjp<T>>(ops, p, g, dy, x, g.y.in, g.x.in);
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  using Target = typename Sink<T>::Target;
  /// Box for windows of one size, General for adaptive ones; h x w are the extents of `out`.
  template <class Box, class General>
  static void launch(Ops<T>& ops, const Point<T>& p, const PoolGeometry& g, const View<T>& in, const Target& out,
                     Index h, Index w) {
    const Index rows = out.view.lanes * planes(p) * h;
    const auto filled = [&]<class F>() {
      return F{g, in.data, in.lane_stride, out.view.data, out.view.lane_stride, planes(p), out.accumulate};
    };
    if (g.x.adaptive)
      ops.for_each(rows, w, filled.template operator()<General>());
    else
      ops.for_each(rows, w, filled.template operator()<Box>());
  }
  void mean(Ops<T>& ops, const Point<T>& p, const View<T>& x, const Target& y) const {
    const PoolGeometry g = windows_.at(p);
    launch<BoxMean<T>, AvgPoolValue<T>>(ops, p, g, x, y, g.y.out, g.x.out);
  }
  Windows windows_;
};

}  // namespace
}  // namespace detail

template <class T>
Node maxpool2d(Graph<T>& g, Node x, const Pool2dOptions& options) {
  return g.apply(std::make_unique<detail::MaxPool<T>>(options), {x});
}
template <class T>
Node avgpool2d(Graph<T>& g, Node x, const Pool2dOptions& options) {
  return g.apply(std::make_unique<detail::AvgPool<T>>(detail::Windows{options, 0, 0, "avgpool2d"}), {x});
}
template <class T>
Node adaptive_avgpool2d(Graph<T>& g, Node x, Index out_h, Index out_w) {
  if (out_h < 1 || out_w < 1)
    throw InputError(fmt::format("adaptive_avgpool2d: output {} x {}, expected at least 1 x 1", out_h, out_w));
  return g.apply(std::make_unique<detail::AvgPool<T>>(detail::Windows{{}, out_h, out_w, "adaptive_avgpool2d"}), {x});
}

template Node maxpool2d(Graph<float>&, Node, const Pool2dOptions&);
template Node maxpool2d(Graph<double>&, Node, const Pool2dOptions&);
template Node avgpool2d(Graph<float>&, Node, const Pool2dOptions&);
template Node avgpool2d(Graph<double>&, Node, const Pool2dOptions&);
template Node adaptive_avgpool2d(Graph<float>&, Node, Index, Index);
template Node adaptive_avgpool2d(Graph<double>&, Node, Index, Index);

}  // namespace hso
