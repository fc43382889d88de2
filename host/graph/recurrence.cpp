// SPDX-License-Identifier: Apache-2.0
//
// Recurrences over the first axis of a sample: RNN, LSTM and GRU cells (detail/elements/recurrent.hpp) from zero
// states. The steps follow each other, with one product and one elementwise launch each; everything that does not
// depend on the step before is one product over all of them.
#include <fmt/format.h>

#include "graph/recurrence_memory.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// y[t] = h_t of h_t = cell(a[t], W h_{t-1} + b, c_{t-1}). Inputs are a [L][G H], W [G H][H] and, where there is one,
/// b.
template <class T, class Cell>
class Recurrence final : public Op<T>, public ProductLayer<T> {
  static constexpr Index kGates = Cell::kGates, kRow = Cell::kRow, kPoint = Cell::kPoint, kTangent = Cell::kTangent,
                         kAdjoint = Cell::kAdjoint;

 public:
  Recurrence(const char* name, bool reversed) : name_(name), reversed_(reversed) {}
  std::string_view name() const override { return name_; }
  BatchRule batch_rule() const override { return BatchRule::first_must; }

  Shape infer(Span<const Shape> in) const override {
    const Shape &a = in[0], &w = in[1];
    if (w.rank() != 2 || w[0] != kGates * w[1] || a.rank() != 2 || a[1] != w[0] || a[0] < 1)
      throw InputError(fmt::format("{}: pre-activations {} and weight {}; expected [steps, {} H] and [{} H, H]", name_,
                                   a.to_string(), w.to_string(), kGates, kGates));
    if (in.size() == 3 && !(in[2] == Shape{w[0]}))
      throw InputError(fmt::format("{}: bias {} does not fit weight {}; expected [{}]", name_, in[2].to_string(),
                                   w.to_string(), w[0]));
    return {a[0], w[1]};
  }
  Index saved_bytes(Span<const Shape> in, const Shape& y) const override {
    return Saved::elements(sizes(in, y)) * static_cast<Index>(sizeof(T));
  }
  Index kept_size(Span<const Shape> in, const Shape& y) const override { return Kept::elements(sizes(in, y)); }

  void forward(Ops<T>& ops, const Point<T>& p) const override {
    const Sizes s = sizes(p);
    const Saved saved = at(p, s);
    const Index step = s.step();
    Scratch scratch(ops.context());
    T* products = scratch.take<T>(kGates * step);
    T* zeros = scratch.take<T>(kGates * s.width);
    ops.fill(kGates * s.width, T(0), zeros);
    ops.fill(kGates * step, T(0), products);
    ops.fill(step, T(0), saved.h);
    ops.fill(kPoint * step, T(0), saved.point);
    for (Index t = 0; t < s.length; ++t) {
      const T* before = saved.h + t * step;
      if (t > 0)
        ops.gemm({s.batch, kGates * s.width, s.width, before, s.width, false, p.x[1].data, s.width, true, products,
                  kGates * s.width});
      ops.for_each(s.batch, s.width,
                   RecurrentForward<T, Cell>{sequence<const T>(p.x[0], s, t, kGates), products,
                                             p.x.size() == 3 ? p.x[2].data : zeros, saved.point + t * kPoint * step,
                                             saved.point + (t + 1) * kPoint * step, before, saved.h + (t + 1) * step,
                                             sequence<T>(p.y, s, t, 1), s.batch, s.width});
    }
  }

  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    const Sizes s = sizes(p);
    const Saved saved = at(p, s);
    const Index lanes = Ry.lanes(), step = s.step();
    const Kept kept(p.kept, s);
    Scratch scratch(ops.context());
    const Lanes<T> products{kept.work, kept.stride};
    start_products(ops, p, Rx, s, lanes, products);
    ops.for_each(lanes, step, Fill<T>{kept.h, kept.stride, T(0)});
    ops.for_each(lanes, kTangent * step, Fill<T>{kept.tangent, kept.stride, T(0)});
    const View<T> zeros = zero_row(ops, scratch, kGates * s.width);
    const auto y = Ry.write();
    for (Index t = 0; t < s.length; ++t) {
      T* product = products.data + t * kGates * step;
      if (t > 0) {
        GemmArgs<T> g{s.batch,     kGates * s.width, s.width, kept.h + t * step, s.width,         false,
                      p.x[1].data, s.width,          true,    product,           kGates * s.width};
        ops.gemm(in_lanes(g, lanes, kept.stride, 0, products.stride));
      }
      const Strip<const T> ra = Rx[0] ? sequence<const T>(Rx[0], s, t, kGates) : Strip<const T>{zeros.data, 0, 0};
      ops.for_each(lanes * s.batch, s.width,
                   RecurrentJvp<T, Cell>{ra,
                                         {product, kGates * s.width, products.stride},
                                         saved.point + t * kPoint * step,
                                         saved.point + (t + 1) * kPoint * step,
                                         saved.h + t * step,
                                         saved.h + (t + 1) * step,
                                         {kept.tangent + t * kTangent * step, kTangent * s.width, kept.stride},
                                         {kept.tangent + (t + 1) * kTangent * step, kTangent * s.width, kept.stride},
                                         {kept.h + t * step, s.width, kept.stride},
                                         {kept.h + (t + 1) * step, s.width, kept.stride},
                                         sequence<T>(y.view, s, t, 1),
                                         s.batch,
                                         s.width,
                                         y.accumulate});
    }
  }

  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    const Sizes s = sizes(p);
    send_back(ops, p, s, walk_back(ops, p, dy, s), dy.lanes, dx);
  }

  /// Keeps dz and the adjoint records, which products with the tangents of W and h need.
  void backward(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    const Sizes s = sizes(p);
    const Saved saved = at(p, s);
    const Lanes<T> rows{saved.rows, 0};
    walk_back(ops, p, dy, s, rows, {saved.adjoint, 0}, kAdjoint * s.step());
    send_back(ops, p, s, rows, 1, dx);
  }

  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T> Ry,
             Span<const Sink<T>> Rdx) const override {
    ReverseArgs<T> r;
    r.dy = dy;
    r.Rx = Rx;
    r.Ry = Ry;
    reverse(ops, p, r, Rdx);
  }

  void reverse(Ops<T>& ops, const Point<T>& p, const ReverseArgs<T>& r, Span<const Sink<T>> Rdx) const override {
    if (!r.dy) {
      if (r.Rdy) vjp(ops, p, r.Rdy, Rdx);
      return;
    }
    const Sizes s = sizes(p);
    const Saved saved = at(p, s);
    const Index lanes = wanted_lanes(Rdx), step = s.step();
    const Kept kept(p.kept, s);
    Scratch scratch(ops.context());
    const Lanes<T> rows{kept.work, kept.stride};
    const Lanes<T> carry = take(scratch, lanes, (s.length + 1) * step);
    const Lanes<T> state = take(scratch, lanes, step);
    const View<T> zeros = zero_row(ops, scratch, s.width);
    const View<T>& rw = r.Rx[1];
    const bool sent = rw && s.length > 1;
    if (sent) {  // dz_t RW goes to step t - 1
      GemmArgs<T> g{(s.length - 1) * s.batch,
                    s.width,
                    kGates * s.width,
                    saved.rows + kRow * step,
                    kRow * s.width,
                    false,
                    rw.data,
                    s.width,
                    false,
                    carry.data + step,
                    s.width};
      ops.gemm(in_lanes(g, lanes, 0, rw.lane_stride, carry.stride, false));
    }
    start_carry(ops, s, lanes, carry, state);
    for (Index t = s.length - 1; t >= 0; --t) {
      const Strip<const T> rdy = r.Rdy ? sequence<const T>(r.Rdy, s, t, 1) : Strip<const T>{zeros.data, 0, 0};
      T* row = rows.data + t * kRow * step;
      ops.for_each(
          lanes * s.batch, s.width,
          RecurrentReverse<T, Cell>{rdy,
                                    strip<const T>(carry, s, t + 1),
                                    strip<T>(carry, s, t),
                                    {state.data, s.width, state.stride},
                                    saved.point + t * kPoint * step,
                                    saved.point + (t + 1) * kPoint * step,
                                    saved.h + t * step,
                                    saved.h + (t + 1) * step,
                                    saved.adjoint + t * kAdjoint * step,
                                    {kept.tangent + t * kTangent * step, kTangent * s.width, kept.stride},
                                    {kept.tangent + (t + 1) * kTangent * step, kTangent * s.width, kept.stride},
                                    {kept.h + t * step, s.width, kept.stride},
                                    {row, kRow * s.width, rows.stride},
                                    s.batch,
                                    s.width,
                                    sent && t > 0});
      if (t > 0) to_step_before(ops, p, s, t, {row, rows.stride}, lanes, carry, sent);
    }
    send_back(ops, p, s, rows, lanes, Rdx);
    if (Rdx[1])  // dz' Rh
      outer_products(ops, s, {saved.rows, 0}, {kept.h, kept.stride}, Rdx[1].write());
  }

  /// The product W h_{t-1} at every step.
  const ProductLayer<T>* as_product() const override { return this; }
  ProductSizes product_sizes(Span<const Shape> in, const Shape& y) const override {
    return {1, in[1][1], in[1][0], y[0]};
  }
  void input_rows(Ops<T>& ops, const Point<T>& p, Index, Index first, Index samples, T* to) const override {
    const Sizes s = sizes(p);
    ops.for_each(s.width * samples, s.length,
                 ChannelRows<T>{at(p, s).h + first * s.width, 0, s.width, 1, s.step(), to, 1, samples, s.length});
  }
  /// Of all samples at once, whatever part is asked for: the steps of one cost as much as those of all.
  void output_rows(Ops<T>& ops, const Point<T>& p, const View<T>& dy, Index, Index first, Index samples,
                   T* to) const override {
    const Sizes s = sizes(p);
    const Lanes<T> rows = walk_back(ops, p, dy, s);
    ops.for_each(kGates * s.width * dy.lanes * samples, s.length,
                 ChannelRows<T>{rows.data + first * kRow * s.width, rows.stride, kRow * s.width, 1, kRow * s.step(), to,
                                dy.lanes, samples, s.length});
  }

 private:
  using Target = typename Sink<T>::Target;
  using Sizes = RecurrentSizes;
  using Saved = RecurrentSaved<T, Cell>;
  using Kept = RecurrentKept<T, Cell>;
  template <class U>
  using Lanes = RecurrentLanes<U>;

  static Sizes sizes(Span<const Shape> in, const Shape& y) { return {y[0], y[1], in[1][1]}; }
  static Sizes sizes(const Point<T>& p) { return {p.y.shape[0], p.y.shape[1], p.y.shape[2]}; }
  static Saved at(const Point<T>& p, const Sizes& s) { return Saved(static_cast<T*>(p.saved), s); }
  static Lanes<T> take(Scratch& scratch, Index lanes, Index size) { return {scratch.take<T>(lanes * size), size}; }
  static View<T> zero_row(Ops<T>& ops, Scratch& scratch, Index size) {
    T* zeros = scratch.take<T>(size);
    ops.fill(size, T(0), zeros);
    return vector_view(zeros, size);
  }
  static Index wanted_lanes(Span<const Sink<T>> sinks) {
    for (const Sink<T>& sink : sinks)
      if (sink) return sink.lanes();
    return 0;
  }

  /// Step t of x [B][L][vectors][H]; walked from the end where the recurrence is reversed.
  template <class U>
  Strip<U> sequence(const View<T>& x, const Sizes& s, Index t, Index vectors) const {
    const Index position = reversed_ ? s.length - 1 - t : t, row = vectors * s.width;
    return {x.data + position * row, s.length * row, x.lane_stride};
  }
  /// Place t of [L + 1][B][H].
  template <class U>
  static Strip<U> strip(const Lanes<T>& x, const Sizes& s, Index t) {
    return {x.data + t * s.step(), s.width, x.stride};
  }

  static GemmArgs<T> in_lanes(GemmArgs<T> g, Index lanes, Index stride_a, Index stride_b, Index stride_c,
                              bool add = true) {
    g.beta = add ? T(1) : T(0);
    g.batch = lanes;
    g.stride_a = stride_a;
    g.stride_b = stride_b;
    g.stride_c = stride_c;
    return g;
  }

  /// RW h_{t-1} + Rb for all steps.
  void start_products(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, const Sizes& s, Index lanes,
                      const Lanes<T>& products) const {
    const Index rows = s.length * s.batch, gates = kGates * s.width;
    const bool biased = Rx.size() == 3 && Rx[2];
    if (biased)
      ops.for_each(lanes * rows, gates,
                   AddToRows<T>{Rx[2].data, Rx[2].lane_stride, products.data, products.stride, rows, gates, false});
    else if (!Rx[1])
      ops.for_each(lanes, rows * gates, Fill<T>{products.data, products.stride, T(0)});
    if (!Rx[1]) return;
    GemmArgs<T> g{rows, gates, s.width, at(p, s).h, s.width, false, Rx[1].data, s.width, true, products.data, gates};
    ops.gemm(in_lanes(g, lanes, 0, Rx[1].lane_stride, products.stride, biased));
  }

  /// Nothing comes from behind the last step.
  static void start_carry(Ops<T>& ops, const Sizes& s, Index lanes, const Lanes<T>& carry, const Lanes<T>& state) {
    const Index step = s.step();
    ops.for_each(lanes, step, Fill<T>{carry.data + s.length * step, carry.stride, T(0)});
    if (Cell::kHasState) ops.for_each(lanes, step, Fill<T>{state.data, state.stride, T(0)});
  }

  /// dz_t W goes to step t - 1.
  void to_step_before(Ops<T>& ops, const Point<T>& p, const Sizes& s, Index t, const Lanes<T>& row, Index lanes,
                      const Lanes<T>& carry, bool written) const {
    GemmArgs<T> g{s.batch, s.width, kGates * s.width,          row.data, kRow * s.width, false, p.x[1].data,
                  s.width, false,   carry.data + t * s.step(), s.width};
    ops.gemm(in_lanes(g, lanes, row.stride, 0, carry.stride, written || Cell::kKeepsH));
  }

  /// dz of all steps and lanes, in the room of the point.
  Lanes<T> walk_back(Ops<T>& ops, const Point<T>& p, const View<T>& dy, const Sizes& s) const {
    const Kept kept(p.kept, s);
    Scratch scratch(ops.context());
    const Lanes<T> rows{kept.work, kept.stride};
    walk_back(ops, p, dy, s, rows, take(scratch, dy.lanes, kAdjoint * s.step()), 0);
    return rows;
  }

  /// dz of all steps, and adjoint records at distance `adjoint_step` (0: of no further use).
  void walk_back(Ops<T>& ops, const Point<T>& p, const View<T>& dy, const Sizes& s, const Lanes<T>& rows,
                 const Lanes<T>& adjoint, Index adjoint_step) const {
    const Saved saved = at(p, s);
    const Index step = s.step();
    Scratch scratch(ops.context());
    const Lanes<T> carry = take(scratch, dy.lanes, (s.length + 1) * step);
    const Lanes<T> state = take(scratch, dy.lanes, step);
    start_carry(ops, s, dy.lanes, carry, state);
    for (Index t = s.length - 1; t >= 0; --t) {
      T* row = rows.data + t * kRow * step;
      ops.for_each(dy.lanes * s.batch, s.width,
                   RecurrentVjp<T, Cell>{sequence<const T>(dy, s, t, 1),
                                         strip<const T>(carry, s, t + 1),
                                         strip<T>(carry, s, t),
                                         {state.data, s.width, state.stride},
                                         saved.point + t * kPoint * step,
                                         saved.point + (t + 1) * kPoint * step,
                                         saved.h + t * step,
                                         saved.h + (t + 1) * step,
                                         {adjoint.data + t * adjoint_step, kAdjoint * s.width, adjoint.stride},
                                         {row, kRow * s.width, rows.stride},
                                         s.batch,
                                         s.width,
                                         false});
      if (t > 0) to_step_before(ops, p, s, t, {row, rows.stride}, dy.lanes, carry, false);
    }
  }

  /// da = dz, dW = dz' h and db, the sum of dz, over all steps.
  void send_back(Ops<T>& ops, const Point<T>& p, const Sizes& s, const Lanes<T>& rows, Index lanes,
                 Span<const Sink<T>> dx) const {
    if (dx[0]) {
      const auto a = dx[0].write();
      ops.for_each(lanes * s.batch * s.length * kGates, s.width,
                   StepsToSequence<T>{rows.data, rows.stride, a.view.data, a.view.lane_stride, s.batch, s.length,
                                      kGates, kRow, s.width, Cell::kInputShift, reversed_, a.accumulate});
    }
    if (dx[1]) outer_products(ops, s, rows, {at(p, s).h, 0}, dx[1].write());
    if (dx.size() == 3 && dx[2]) sum_rows(ops, s, rows, lanes, dx[2].write());
  }

  /// dW_k (+)= sum_t dz_t' h_{t-1}
  static void outer_products(Ops<T>& ops, const Sizes& s, const Lanes<T>& rows, const Lanes<T>& h, const Target& w) {
    GemmArgs<T> g{kGates * s.width, s.width, s.length * s.batch, rows.data, kRow * s.width, true, h.data,
                  s.width,          false,   w.view.data,        s.width};
    ops.gemm(in_lanes(g, w.view.lanes, rows.stride, h.stride, w.view.lane_stride, w.accumulate));
  }

  static void sum_rows(Ops<T>& ops, const Sizes& s, const Lanes<T>& rows, Index lanes, const Target& b) {
    const Index count = s.length * s.batch, all = kRow * s.width, gates = kGates * s.width;
    if (all == gates)
      return ops.sum_rows({lanes, count, all, rows.data, rows.stride, b.view.data, b.view.lane_stride, b.beta()});
    Scratch scratch(ops.context());
    T* sums = scratch.take<T>(lanes * all);
    ops.sum_rows({lanes, count, all, rows.data, rows.stride, sums, all, T(0)});
    ops.for_each(lanes, gates, Axpby<T>{T(1), sums, all, b.beta(), b.view.data, b.view.lane_stride});
  }

  const char* name_;
  bool reversed_;
};

template <class T, class Cell>
Node recurrence_of(Graph<T>& g, std::vector<Node> inputs, const char* name, bool reversed) {
  return g.apply(std::make_unique<Recurrence<T, Cell>>(name, reversed), std::move(inputs));
}

}  // namespace
}  // namespace detail

template <class T>
Node recurrence(Graph<T>& g, Node gates, Node weight, Node bias, RecurrentCell cell, bool reversed) {
  std::vector<Node> inputs{gates, weight};
  if (bias != kNoNode) inputs.push_back(bias);
  switch (cell) {
    case RecurrentCell::rnn_tanh:
      return detail::recurrence_of<T, detail::RnnCell<detail::Tanh>>(g, std::move(inputs), "rnn", reversed);
    case RecurrentCell::rnn_relu:
      return detail::recurrence_of<T, detail::RnnCell<detail::Relu>>(g, std::move(inputs), "rnn", reversed);
    case RecurrentCell::lstm:
      return detail::recurrence_of<T, detail::LstmCell>(g, std::move(inputs), "lstm", reversed);
    case RecurrentCell::gru:
      return detail::recurrence_of<T, detail::GruCell>(g, std::move(inputs), "gru", reversed);
  }
  throw UsageError("recurrence: not a member of the enum");
}

template Node recurrence(Graph<float>&, Node, Node, Node, RecurrentCell, bool);
template Node recurrence(Graph<double>&, Node, Node, Node, RecurrentCell, bool);

}  // namespace hso
