// SPDX-License-Identifier: Apache-2.0
//
// Parts of tensors along an axis: slice and concat. Both are linear, so `cross` has nothing to add.
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// The entries [begin, begin + extent) of an axis: a run of numbers in each row.
struct AxisPart {
  Index rows, row, length, offset;  ///< rows of one lane; numbers of a row, and of the run in it
  AxisPart(const Shape& x, int axis_from_end, Index begin, Index extent) {
    Index inner = 1;
    const int axis = x.rank() - axis_from_end;
    for (int i = axis + 1; i < x.rank(); ++i) inner *= x[i];
    row = inner * x[axis];
    rows = row > 0 ? x.size() / row : 0;
    length = inner * extent;
    offset = inner * begin;
  }
};

/// whole's part := part, or the other way round.
template <class T>
void cut(Ops<T>& ops, const AxisPart& a, const View<T>& whole, const typename Sink<T>::Target& part) {
  ops.for_each(part.view.lanes * a.rows, a.length,
               CopyRows<T>{whole.data + a.offset, whole.lane_stride, a.row, part.view.data, part.view.lane_stride,
                           a.length, a.rows, part.accumulate});
}
template <class T>
void paste(Ops<T>& ops, const AxisPart& a, const View<T>& part, const View<T>& whole, bool accumulate) {
  ops.for_each(whole.lanes * a.rows, a.length,
               CopyRows<T>{part.data, part.lane_stride, a.length, whole.data + a.offset, whole.lane_stride, a.row,
                           a.rows, accumulate});
}

/// Axes count from the last one: the batch, where there is one, is an axis more in front.
template <class T>
class Slice final : public Op<T> {
 public:
  Slice(int from_end, Index begin, Index length) : from_end_(from_end), begin_(begin), length_(length) {}
  std::string_view name() const override { return "slice"; }
  Shape infer(Span<const Shape> in) const override {
    Shape y = in[0];
    const int axis = y.rank() - from_end_;
    if (axis < 0 || axis >= y.rank() || begin_ < 0 || length_ < 1 || begin_ > y[axis] - length_)
      throw InputError(
          fmt::format("slice: {} entries from {} of axis {} do not lie in {}", length_, begin_, axis, y.to_string()));
    y[axis] = length_;
    return y;
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override { cut<T>(ops, part(p), p.x[0], {p.y, false}); }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    cut(ops, part(p), Rx[0], Ry.write());
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (dx[0]) paste(ops, part(p), dy, dx[0].add(ops).reshaped(p.x[0].shape), true);
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  AxisPart part(const Point<T>& p) const { return {p.x[0].shape, from_end_, begin_, length_}; }
  int from_end_;
  Index begin_, length_;
};

template <class T>
class Concat final : public Op<T> {
 public:
  explicit Concat(int from_end) : from_end_(from_end) {}
  std::string_view name() const override { return "concat"; }
  BatchRule batch_rule() const override { return BatchRule::all_equal; }
  Shape infer(Span<const Shape> in) const override {
    Shape y = in[0];
    const int axis = y.rank() - from_end_;
    if (axis < 0 || axis >= y.rank())
      throw InputError(fmt::format("concat: axis {} of {}, expected one that is there", axis, y.to_string()));
    for (std::size_t i = 1; i < in.size(); ++i) {
      Shape like = in[i];
      if (like.rank() != y.rank())
        throw InputError(
            fmt::format("concat: {} and {} have no axis {} in common", in[0].to_string(), in[i].to_string(), axis));
      y[axis] += like[axis];
      like[axis] = in[0][axis];
      if (!(like == in[0]))
        throw InputError(
            fmt::format("concat: {} and {} differ in more than axis {}", in[0].to_string(), in[i].to_string(), axis));
    }
    return y;
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    for (std::size_t i = 0; i < p.x.size(); ++i) paste(ops, part(p, i), p.x[i], p.y, false);
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    const View<T> y = Ry.add(ops).reshaped(p.y.shape);
    for (std::size_t i = 0; i < Rx.size(); ++i)
      if (Rx[i]) paste(ops, part(p, i), Rx[i], y, true);
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    for (std::size_t i = 0; i < dx.size(); ++i)
      if (dx[i]) cut(ops, part(p, i), dy, dx[i].write());
  }
  void cross(Ops<T>&, const Point<T>&, View<T>, Span<const View<T>>, View<T>, Span<const Sink<T>>) const override {}

 private:
  AxisPart part(const Point<T>& p, std::size_t which) const {
    const int axis = p.y.shape.rank() - from_end_;
    Index begin = 0;
    for (std::size_t i = 0; i < which; ++i) begin += p.x[i].shape[axis];
    return {p.y.shape, from_end_, begin, p.x[which].shape[axis]};
  }
  int from_end_;
};

}  // namespace
}  // namespace detail

template <class T>
Node slice(Graph<T>& g, Node x, int axis, Index begin, Index length) {
  return g.apply(std::make_unique<detail::Slice<T>>(g[x].shape.rank() - axis, begin, length), {x});
}
template <class T>
Node concat(Graph<T>& g, const std::vector<Node>& parts, int axis) {
  if (parts.empty()) throw UsageError("concat: no parts, expected one at least");
  return g.apply(std::make_unique<detail::Concat<T>>(g[parts[0]].shape.rank() - axis), parts);
}

template Node slice(Graph<float>&, Node, int, Index, Index);
template Node slice(Graph<double>&, Node, int, Index, Index);
template Node concat(Graph<float>&, const std::vector<Node>&, int);
template Node concat(Graph<double>&, const std::vector<Node>&, int);

}  // namespace hso
