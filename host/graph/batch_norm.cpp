// SPDX-License-Identifier: Apache-2.0
//
// Normalisation of the channels of a batch, with its own statistics in training and running ones otherwise.
#include <fmt/format.h>

#include <algorithm>

#include "graph/normalization.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// Rows that only fill the batch have r = 0: they are in no sum, their outputs are 0, and nothing comes back to them.
template <class T>
class BatchNorm final : public Normalization<T> {
 public:
  /// `place` of C running means, then C running variances, among the statistics.
  BatchNorm(Index channels, Index place, const BatchNormOptions& o)
      : channels_(channels),
        place_(place),
        eps_(static_cast<T>(o.eps)),
        momentum_(static_cast<T>(o.momentum)),
        layer_(o.layer) {}
  std::string_view name() const override { return layer_; }
  BatchRule batch_rule() const override { return BatchRule::first_must; }
  Shape infer(Span<const Shape> in) const override { return in[0]; }
  Index saved_bytes(Span<const Shape>, const Shape& y) const override {
    return (y[0] * (channels_ + 1) + 2 * channels_) * static_cast<Index>(sizeof(T));
  }
  Index numbers_of_row(const Shape& y) const override { return y.size() / channels_; }

  void forward(Ops<T>& ops, const Point<T>& p) const override {
    const Index n = p.y.shape[0];
    if (!p.training) {
      ops.fill(n, T(1), shares(p));
      return normalize(ops, p, p.statistics + place_, p.statistics + place_ + channels_);
    }
    if (p.y.size() == channels_)
      throw InputError(fmt::format("{}: one number for each channel in training, expected at least 2", layer_));
    Scratch scratch(ops.context());
    T* count = scratch.take<T>(1);
    T* mean = scratch.take<T>(2 * channels_);
    T* variance = mean + channels_;
    const T numbers = static_cast<T>(cols(p));
    ops.for_each(1, n, CountedRows<T>{p.weights, shares(p)});
    ops.sum_columns({1, 1, n, shares(p), n, count, 1, T(0)});
    ops.for_each(1, n, RowShares<T>{count, shares(p), numbers});
    this->moments(ops, p, mean, variance);
    normalize(ops, p, mean, variance);
    for (const bool squares : {false, true}) {
      const Index at = place_ + (squares ? channels_ : 0);
      ops.for_each(1, channels_,
                   RunningStatistic<T>{p.statistics + at, squares ? variance : mean, count, p.next_statistics + at,
                                       momentum_, numbers, squares});
    }
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    p.training ? Normalization<T>::jvp(ops, p, Rx, Ry) : scale(ops, p, Rx[0], Ry);
  }
  void backward(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    p.training ? Normalization<T>::backward(ops, p, dy, dx) : vjp(ops, p, dy, dx);
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (p.training) return Normalization<T>::vjp(ops, p, dy, dx);
    if (dx[0]) scale(ops, p, dy, dx[0]);
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T> Ry,
             Span<const Sink<T>> Rdx) const override {
    if (p.training) Normalization<T>::cross(ops, p, dy, Rx, Ry, Rdx);
  }

 private:
  typename Normalization<T>::Groups groups_of(const Shape& y) const override {
    return {channels_, y[0], y.size() / (y[0] * channels_), T(1), T(1)};
  }
  Index cols(const Point<T>& p) const { return this->groups(p).cols; }
  /// [rows]: what each of its numbers has of a mean.
  T* shares(const Point<T>& p) const { return this->own(p); }
  /// Means: over the positions of each row first, then over the rows by their shares.
  void sums(Ops<T>& ops, const Point<T>& p, const View<T>& x, T* to) const override {
    const Index n = p.y.shape[0], rows = n * channels_, numbers = cols(p);
    Scratch scratch(ops.context());
    const T* from = x.data;
    Index stride = x.lane_stride;
    if (numbers > 1) {
      T* of_rows = scratch.take<T>(x.lanes * rows);
      ops.sum_columns({x.lanes, rows, numbers, x.data, x.lane_stride, of_rows, rows, T(0)});
      from = of_rows;
      stride = rows;
    }
    ops.gemm({1, channels_, n, shares(p), n, false, from, channels_, false, to, channels_, T(1), T(0), x.lanes, 0,
              stride, channels_});
  }
  void normalize(Ops<T>& ops, const Point<T>& p, const T* mean, const T* variance) const {
    ops.for_each(p.y.shape[0], channels_, RowDeviation<T>{variance, shares(p), this->deviations(p), channels_, eps_});
    this->set_values(ops, p, mean);
  }
  /// With running statistics, which are constants, all rows have the same r.
  void scale(Ops<T>& ops, const Point<T>& p, const View<T>& v, const Sink<T>& sink) const {
    const T* r = this->deviations(p);
    const auto to = sink.write();
    ops.for_each(to.view.lanes * p.y.shape[0] * channels_, cols(p),
                 ScaleChannels<T>{v.data, v.lane_stride, r, 0, r, 0, to.view.data, to.view.lane_stride, channels_,
                                  p.y.shape[0], cols(p), T(1), T(0), to.accumulate});
  }

  Index channels_, place_;
  T eps_, momentum_;
  std::string layer_;
};

}  // namespace
}  // namespace detail

template <class T>
Node batch_norm(Graph<T>& g, Node x, const BatchNormOptions& o) {
  if (!(o.eps >= 0)) throw InputError(fmt::format("{}: eps = {}, expected at least 0", o.layer, o.eps));
  if (!(o.momentum >= 0 && o.momentum <= 1))
    throw InputError(fmt::format("{}: momentum = {}, expected a number from 0 to 1", o.layer, o.momentum));
  const Shape& shape = g[x].shape;
  if (shape.rank() < 1)
    throw InputError(fmt::format("{}: input {}, expected [C] or [C, ...]", o.layer, shape.to_string()));
  const Index channels = shape[0], place = g.add_statistics(channels, 0);
  g.add_statistics(channels, 1);
  return g.apply(std::make_unique<detail::BatchNorm<T>>(channels, place, o), {x});
}

template Node batch_norm(Graph<float>&, Node, const BatchNormOptions&);
template Node batch_norm(Graph<double>&, Node, const BatchNormOptions&);

}  // namespace hso
