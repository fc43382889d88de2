// SPDX-License-Identifier: Apache-2.0
//
// Tables of rows: embedding of tokens, their one-hot rows, and a row for each position of a sequence. All linear in the
// table, so `cross` has nothing to add; tokens are not differentiated.
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// The shape of the tokens with an axis more.
Shape with_axis(const Shape& tokens, Index extent, const char* name) {
  if (tokens.rank() + 2 > Shape::kMaxRank)
    throw InputError(fmt::format("{}: tokens {} have too many axes", name, tokens.to_string()));
  std::vector<Index> extents;
  for (int i = 0; i < tokens.rank(); ++i) extents.push_back(tokens[i]);
  extents.push_back(extent);
  return Shape(Span<const Index>(extents));
}

/// y = W[tokens]. forward sorts the tokens, so that the adjoint of a row is a sum over a part of the order: the same
/// bits every time, and no two threads add to one number.
template <class T>
class Embedding final : public Op<T>, public ProductLayer<T> {
 public:
  std::string_view name() const override { return "embedding"; }
  BatchRule batch_rule() const override { return BatchRule::first_must; }
  Shape infer(Span<const Shape> in) const override {
    if (in[1].rank() != 2)
      throw InputError(fmt::format("embedding: weight {}, expected [count, features]", in[1].to_string()));
    return with_axis(in[0], in[1][1], "embedding");
  }
  Index saved_bytes(Span<const Shape> x, const Shape&) const override {
    return (x[0].size() + x[1][0] + 1) * static_cast<Index>(sizeof(Index));
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    const Index n = p.x[0].size();
    ops.sort(n, p.x[0].data, order(p));
    ops.for_each(1, count(p) + 1, TokenStarts<T>{p.x[0].data, order(p), starts(p), n, count(p)});
    look_up(ops, p, p.x[1], {p.y, false});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    if (Rx[1]) look_up(ops, p, Rx[1], Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) dx[0].add(ops);
    if (!dx[1]) return;
    const auto w = dx[1].write();
    ops.for_each(w.view.lanes * count(p), cols(p),
                 SumByToken<T>{dy.data, dy.lane_stride, order(p), starts(p), w.view.data, w.view.lane_stride, count(p),
                               cols(p), w.accumulate});
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

  /// A product with the one-hot rows of the tokens.
  const ProductLayer<T>* as_product() const override { return this; }
  ProductSizes product_sizes(Span<const Shape> in, const Shape&) const override {
    return {1, in[1][0], in[1][1], in[0].size(), true};
  }
  void input_rows(Ops<T>& ops, const Point<T>& p, Index, Index first, Index samples, T* to) const override {
    const Index each = p.x[0].size() / p.x[0].shape[0], rows = samples * each;
    ops.for_each(count(p), rows, OneHotColumns<T>{p.x[0].data + first * each, to, 1, rows, count(p)});
  }
  void output_rows(Ops<T>& ops, const Point<T>& p, const View<T>& dy, Index, Index first, Index samples,
                   T* to) const override {
    const Index each = p.x[0].size() / p.x[0].shape[0], rows = samples * each;
    ops.for_each(
        cols(p) * dy.lanes, rows,
        ChannelRows<T>{dy.data + first * each * cols(p), dy.lane_stride, 0, 1, cols(p), to, dy.lanes, 1, rows});
  }

 private:
  static Index count(const Point<T>& p) { return p.x[1].shape[0]; }
  static Index cols(const Point<T>& p) { return p.x[1].shape[1]; }
  static Index* order(const Point<T>& p) { return static_cast<Index*>(p.saved); }
  static Index* starts(const Point<T>& p) { return order(p) + p.x[0].size(); }
  static void look_up(Ops<T>& ops, const Point<T>& p, const View<T>& table, const typename Sink<T>::Target& y) {
    const Index rows = p.x[0].size();
    ops.for_each(y.view.lanes * rows, cols(p),
                 LookUpRows<T>{p.x[0].data, table.data, table.lane_stride, y.view.data, y.view.lane_stride, rows,
                               cols(p), count(p), y.accumulate});
  }
};

template <class T>
class OneHot final : public Op<T> {
 public:
  explicit OneHot(Index count) : count_(count) {}
  std::string_view name() const override { return "one_hot"; }
  Shape infer(Span<const Shape> in) const override { return with_axis(in[0], count_, "one_hot"); }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    ops.for_each(p.x[0].size(), count_, OneHotRows<T>{p.x[0].data, p.y.data, count_});
  }
  void jvp(Ops<T>&, const Point<T>&, Span<const View<T>>, Sink<T>) const override {}
  void vjp(Ops<T>& ops, const Point<T>&, View<T>, Span<const Sink<T>> dx) const override {
    if (dx[0]) dx[0].add(ops);
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  Index count_;
};

/// y = x + W, the same W for every sample.
template <class T>
class AddPositions final : public Op<T>, public ProductLayer<T> {
 public:
  std::string_view name() const override { return "add_positions"; }
  BatchRule batch_rule() const override { return BatchRule::first_must; }
  Shape infer(Span<const Shape> in) const override {
    if (in[0].rank() < 1 || !(in[0] == in[1]))
      throw InputError(
          fmt::format("add_positions: input {} and weight {} differ", in[0].to_string(), in[1].to_string()));
    return in[0];
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    ops.copy(p.y.size(), p.x[0].data, p.y.data);
    spread(ops, p, p.x[1], {p.y, true});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    if (Rx[0]) pass(ops, Rx[0], Ry.write());
    if (Rx[1]) spread(ops, p, Rx[1], Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) pass(ops, dy, dx[0].write());
    if (!dx[1]) return;
    const auto w = dx[1].write();
    ops.sum_rows({dy.lanes, samples(p), row(p), dy.data, dy.lane_stride, w.view.data, w.view.lane_stride, w.beta()});
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

  /// A product with the one-hot rows of the positions.
  const ProductLayer<T>* as_product() const override { return this; }
  ProductSizes product_sizes(Span<const Shape> in, const Shape& y) const override {
    return {1, in[1][0], y.size() / in[1][0], in[1][0], true};
  }
  void input_rows(Ops<T>& ops, const Point<T>& p, Index, Index, Index count, T* to) const override {
    const Index positions = p.x[1].shape[0];
    ops.for_each(positions * count, positions, OneHotColumns<T>{nullptr, to, count, positions, positions});
  }
  void output_rows(Ops<T>& ops, const Point<T>& p, const View<T>& dy, Index, Index first, Index count,
                   T* to) const override {
    const Index positions = p.x[1].shape[0], cols = row(p) / positions, rows = count * positions;
    ops.for_each(cols * dy.lanes, rows,
                 ChannelRows<T>{dy.data + first * row(p), dy.lane_stride, 0, 1, cols, to, dy.lanes, 1, rows});
  }

 private:
  using Target = typename Sink<T>::Target;
  static Index samples(const Point<T>& p) { return p.x[0].shape[0]; }
  static Index row(const Point<T>& p) { return p.x[1].size(); }
  static void pass(Ops<T>& ops, const View<T>& x, const Target& y) {
    ops.for_each(y.view.lanes, y.view.size(),
                 Axpby<T>{T(1), x.data, x.lane_stride, y.beta(), y.view.data, y.view.lane_stride});
  }
  static void spread(Ops<T>& ops, const Point<T>& p, const View<T>& w, const Target& y) {
    ops.for_each(
        y.view.lanes * samples(p), row(p),
        AddToRows<T>{w.data, w.lane_stride, y.view.data, y.view.lane_stride, samples(p), row(p), y.accumulate});
  }
};

}  // namespace
}  // namespace detail

template <class T>
Node embedding(Graph<T>& g, Node tokens, Node weight) {
  return g.apply(std::make_unique<detail::Embedding<T>>(), {tokens, weight});
}
template <class T>
Node one_hot(Graph<T>& g, Node tokens, Index count) {
  if (count < 1) throw UsageError(fmt::format("one_hot: count = {}, expected at least 1", count));
  return g.apply(std::make_unique<detail::OneHot<T>>(count), {tokens});
}
template <class T>
Node add_positions(Graph<T>& g, Node x, Node weight) {
  return g.apply(std::make_unique<detail::AddPositions<T>>(), {x, weight});
}

template Node embedding(Graph<float>&, Node, Node);
template Node embedding(Graph<double>&, Node, Node);
template Node one_hot(Graph<float>&, Node, Index);
template Node one_hot(Graph<double>&, Node, Index);
template Node add_positions(Graph<float>&, Node, Node);
template Node add_positions(Graph<double>&, Node, Node);

}  // namespace hso
