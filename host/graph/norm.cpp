// SPDX-License-Identifier: Apache-2.0
//
// Normalisation of each row by its own statistics (layer, group and root mean square norm), and the scale and shift of
// channels. The statistics depend on the input: their derivatives are exact too.
#include <fmt/format.h>

#include <limits>

#include "graph/normalization.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// u = (x - m) r in rows of `cols` numbers; m is the mean, or 0 without `centered`.
template <class T>
class Normalize final : public Normalization<T> {
 public:
  Normalize(Index cols, bool centered, double eps)
      : cols_(cols), share_(centered ? T(1) / static_cast<T>(cols) : T(0)), eps_(static_cast<T>(eps)) {}
  std::string_view name() const override { return "normalize"; }
  Shape infer(Span<const Shape> in) const override {
    if (cols_ < 1 || in[0].size() % cols_ != 0)
      throw InputError(fmt::format("normalize: rows of {} numbers do not divide {}", cols_, in[0].to_string()));
    return in[0];
  }
  Index saved_bytes(Span<const Shape>, const Shape& y) const override {
    return 3 * (y.size() / cols_) * static_cast<Index>(sizeof(T));
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    const Index n = p.y.size() / cols_;
    Scratch scratch(ops.context());
    T* total = scratch.take<T>(n);
    T* squares = scratch.take<T>(n);
    this->moments(ops, p, total, squares);
    ops.for_each(1, n, InverseDeviation<T>{squares, this->deviations(p), each(), eps_});
    this->set_values(ops, p, total);
  }

 private:
  T each() const { return T(1) / static_cast<T>(cols_); }
  typename Normalization<T>::Groups groups_of(const Shape& y) const override {
    return {y.size() / cols_, 1, cols_, share_, each()};
  }
  void sums(Ops<T>& ops, const Point<T>& p, const View<T>& x, T* to) const override {
    const Index n = p.y.size() / cols_;
    ops.sum_columns({x.lanes, n, cols_, x.data, x.lane_stride, to, n, T(0)});
  }

  Index cols_;
  T share_, eps_;
};

/// y = w x + b by channel: entry i of a row of channels * run numbers belongs to channel i / run. Bilinear in (x, w).
template <class T>
class ScaleShift final : public Op<T>, public ProductLayer<T> {
 public:
  explicit ScaleShift(Index run) : run_(run) {}
  std::string_view name() const override { return "scale_shift"; }
  Shape infer(Span<const Shape> in) const override {
    if (in[1].size() < 1 || in[0].size() % (in[1].size() * run_) != 0)
      throw InputError(fmt::format("scale_shift: {} is not made of runs of {} numbers for each of the channels {}",
                                   in[0].to_string(), run_, in[1].to_string()));
    if (in.size() == 3 && !(in[2] == in[1]))
      throw InputError(fmt::format("scale_shift: {} and {} differ", in[1].to_string(), in[2].to_string()));
    return in[0];
  }

  void forward(Ops<T>& ops, const Point<T>& p) const override {
    scale(ops, p, p.x[0], p.x[1], p.x.size() == 3 ? p.x[2] : View<T>{}, {p.y, false});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    const View<T> shift = Rx.size() == 3 ? Rx[2] : View<T>{};
    if (Rx[0]) scale(ops, p, Rx[0], p.x[1], {}, Ry.write());
    if (Rx[1] || shift) scale(ops, p, p.x[0], Rx[1], shift, Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) scale(ops, p, dy, p.x[1], {}, dx[0].write());
    if (dx[1]) sum_of_products(ops, p, p.x[0], dy, dx[1].write());
    if (dx.size() == 3 && dx[2]) sum_channels(ops, p, dy, dx[2].write());
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T>,
             Span<const Sink<T>> Rdx) const override {
    if (Rdx[0] && Rx[1]) scale(ops, p, dy, Rx[1], {}, Rdx[0].write());
    if (Rdx[1] && Rx[0]) sum_of_products(ops, p, dy, Rx[0], Rdx[1].write());
  }

  /// Each channel is a layer of its own, with one input and one output.
  const ProductLayer<T>* as_product() const override { return this; }
  ProductSizes product_sizes(Span<const Shape> in, const Shape& y) const override {
    return {in[1].size(), 1, 1, y.size() / in[1].size()};
  }
  void input_rows(Ops<T>& ops, const Point<T>& p, Index group, Index first, Index samples, T* to) const override {
    channel_rows(ops, p, p.x[0], group, first, samples, to);
  }
  void output_rows(Ops<T>& ops, const Point<T>& p, const View<T>& dy, Index group, Index first, Index samples,
                   T* to) const override {
    channel_rows(ops, p, dy, group, first, samples, to);
  }

 private:
  using Target = typename Sink<T>::Target;
  static Index channels(const Point<T>& p) { return p.x[1].size(); }
  Index rows(const Point<T>& p) const { return p.y.size() / (channels(p) * run_); }

  /// y (+)= w x + b, where w or b may be missing and one of x and w has lanes.
  void scale(Ops<T>& ops, const Point<T>& p, const View<T>& x, const View<T>& w, const View<T>& b,
             const Target& y) const {
    const View<T>& unused = p.x[1];
    const auto stride = [&](const View<T>& v) { return v && v.lanes > 1 ? v.lane_stride : 0; };
    ops.for_each(y.view.lanes * p.y.size() / run_, run_,
                 ScaleChannels<T>{x.data, stride(x), (w ? w : unused).data, stride(w), (b ? b : unused).data, stride(b),
                                  y.view.data, y.view.lane_stride, channels(p), rows(p), run_, w ? T(1) : T(0),
                                  b ? T(1) : T(0), y.accumulate});
  }
  /// The sums of x_lane over everything but the channels.
  void sum_channels(Ops<T>& ops, const Point<T>& p, const View<T>& x, const Target& to) const {
    const Index row = channels(p) * run_;
    if (run_ == 1)
      return ops.sum_rows({x.lanes, rows(p), row, x.data, x.lane_stride, to.view.data, to.view.lane_stride, to.beta()});
    Scratch scratch(ops.context());
    T* sums = scratch.take<T>(x.lanes * row);
    ops.sum_rows({x.lanes, rows(p), row, x.data, x.lane_stride, sums, row, T(0)});
    ops.sum_columns({x.lanes, channels(p), run_, sums, row, to.view.data, to.view.lane_stride, to.beta()});
  }
  void sum_of_products(Ops<T>& ops, const Point<T>& p, const View<T>& d, const View<T>& x, const Target& to) const {
    const Index size = p.y.size();
    Scratch scratch(ops.context());
    T* work = scratch.take<T>(x.lanes * size);
    ops.for_each(x.lanes, size, Scale<T>{d.data, x.data, x.lane_stride, work, size, false});
    sum_channels(ops, p, {work, p.y.shape, x.lanes, size}, to);
  }
  /// One row a lane: a sample has runs of this channel, or one entry of it in each of its rows.
  void channel_rows(Ops<T>& ops, const Point<T>& p, const View<T>& x, Index channel, Index first, Index samples,
                    T* to) const {
    const Index sample = p.y.size() / p.y.shape[0], positions = sample / channels(p);
    ops.for_each(x.lanes * samples, positions,
                 ChannelRows<T>{x.data + first * sample + channel * run_, x.lane_stride, sample, 0,
                                run_ == 1 ? channels(p) : 1, to, x.lanes, samples, positions});
  }

  Index run_;
};

}  // namespace
}  // namespace detail

template <class T>
Node normalize(Graph<T>& g, Node x, Index row, bool centered, double eps) {
  if (!(eps >= 0)) throw UsageError(fmt::format("normalize: eps = {}, expected at least 0", eps));
  return g.apply(std::make_unique<detail::Normalize<T>>(row, centered, eps), {x});
}
template <class T>
Node scale_shift(Graph<T>& g, Node x, Node scale, Node shift, Index run) {
  std::vector<Node> inputs{x, scale};
  if (shift != kNoNode) inputs.push_back(shift);
  return g.apply(std::make_unique<detail::ScaleShift<T>>(run), std::move(inputs));
}

template Node normalize(Graph<float>&, Node, Index, bool, double);
template Node normalize(Graph<double>&, Node, Index, bool, double);
template Node scale_shift(Graph<float>&, Node, Node, Node, Index);
template Node scale_shift(Graph<double>&, Node, Node, Node, Index);

}  // namespace hso
