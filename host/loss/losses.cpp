// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/graph.hpp"

namespace hso {
namespace detail {
namespace {

/// Whether the bias that a tangent of n samples lacks is one number for each entry of a sample, and not a row of many.
template <class T>
bool covers_sample(const Remainder<T>& lacking, const View<T>& Rz, Index samples) {
  return lacking.bias.size() * samples == Rz.size();
}

/// Rz += what it lacks.
template <class T>
void complete(Ops<T>& ops, const Remainder<T>& lacking, const View<T>& Rz) {
  const Index cols = lacking.bias.size(), rows = Rz.size() / cols;
  ops.for_each(Rz.lanes * rows, cols,
               AddToRows<T>{lacking.bias.data, lacking.bias.lane_stride, Rz.data, Rz.lane_stride, rows, cols, true});
  if (lacking.in_room)
    ops.for_each(1, Rz.size(), Axpby<T>{T(1), lacking.room, Rz.size(), T(1), Rz.data, Rz.lane_stride});
}

/// What losses have in common: the cross of a tangent that lacks a bias for each entry of a sample completes it in the
/// same pass; any other is completed before.
template <class T>
class Loss : public Op<T> {
 public:
  BatchRule batch_rule() const final { return BatchRule::all_must; }
  bool is_loss() const final { return true; }
  bool completes_tangents() const final { return true; }
  void reverse(Ops<T>& ops, const Point<T>& p, const ReverseArgs<T>& r, Span<const Sink<T>> Rdx) const final {
    if (r.lacking != nullptr && Rdx[0]) {
      if (covers_sample(*r.lacking, r.Rx[0], samples(p))) return cross_after_bias(ops, p, r, Rdx[0]);
      complete(ops, *r.lacking, r.Rx[0]);
    }
    Op<T>::reverse(ops, p, r, Rdx);
  }

 protected:
  static Index samples(const Point<T>& p) { return p.x[0].shape[0]; }
  /// `cross`, with Rx_0 += lacking.
  virtual void cross_after_bias(Ops<T>&, const Point<T>&, const ReverseArgs<T>&, Sink<T> Rdz) const = 0;
};

/// Inputs: logits [N][...][C], target [N][...]: a class for each position of a sample, or -1 where none counts there;
/// without positions every sample has a class. The loss of a sample is the mean over its positions that count, and 0
/// where none does. Saves the likeliest class and the softmax, not softmax - onehot: the target may be replaced by
/// samples. With many positions also what each counts for, 1 / count, and what its gradient is multiplied by: the same,
/// and after a draw of targets the root of it, for products of gradients to have the right mean. The functors see
/// positions where they speak of samples.
template <class T>
class CrossEntropy final : public Loss<T> {
 public:
  std::string_view name() const override { return "cross_entropy"; }
  Shape infer(Span<const Shape> in) const override {
    const Shape &z = in[0], &t = in[1];
    bool fits = z.rank() == t.rank() + 1;
    for (int i = 0; fits && i < t.rank(); ++i) fits = z[i] == t[i];
    if (!fits)
      throw InputError(fmt::format("cross_entropy: output {} with target {}; expected [..., classes] and [...]",
                                   z.to_string(), t.to_string()));
    return {};
  }
  Index saved_bytes(Span<const Shape> x, const Shape&) const override {
    return x[1].size() * static_cast<Index>(sizeof(Index) + 2 * sizeof(T)) +
           x[0].size() * static_cast<Index>(sizeof(T));
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    Scratch scratch(ops.context());
    T* losses = one_position(p) ? p.y.data : scratch.take<T>(positions(p));
    ops.for_each(positions(p), 1,
                 CrossEntropyValue<T>{p.x[0].data, p.x[1].data, losses, softmax(p), best(p), classes(p)});
    if (one_position(p)) return;
    ops.for_each(samples(p), 1, PositionShares<T>{p.x[1].data, share(p), per_sample(p), false});
    ops.copy(positions(p), share(p), factor(p));
    ops.for_each(1, positions(p), Scale<T>{share(p), losses, 0, losses, 0, false});
    ops.sum_columns({1, samples(p), per_sample(p), losses, 0, p.y.data, 0, T(0)});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    const auto y = Ry.write();
    Scratch scratch(ops.context());
    const Index n = positions(p), lanes = y.view.lanes;
    const bool one = one_position(p);
    T* to = one ? y.view.data : scratch.take<T>(lanes * n);
    const Index stride = one ? y.view.lane_stride : n;
    ops.for_each(lanes * n, 1,
                 CrossEntropyJvp<T>{softmax(p), p.x[1].data, Rx[0].data, Rx[0].lane_stride, to, stride, n, classes(p),
                                    one && y.accumulate});
    if (one) return;
    ops.for_each(lanes, n, Scale<T>{factor(p), to, n, to, n, false});
    ops.sum_columns({lanes, samples(p), per_sample(p), to, n, y.view.data, y.view.lane_stride, y.beta()});
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (!dx[0]) return;
    const auto z = dx[0].write();
    Scratch scratch(ops.context());
    const View<T> d = spread(ops, p, dy, factor(p), scratch);
    ops.for_each(z.view.lanes * positions(p), 1,
                 CrossEntropyVjp<T>{softmax(p), p.x[1].data, d.data, d.lane_stride, z.view.data, z.view.lane_stride,
                                    positions(p), classes(p), z.accumulate});
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T>,
             Span<const Sink<T>> Rdx) const override {
    if (!Rdx[0]) return;
    const auto z = Rdx[0].write();
    Scratch scratch(ops.context());
    const View<T> d = spread(ops, p, dy, share(p), scratch);
    ops.for_each(z.view.lanes * positions(p), 1,
                 CrossEntropyCross<T>{softmax(p), best(p), d.data, Rx[0].data, Rx[0].lane_stride, z.view.data,
                                      z.view.lane_stride, positions(p), classes(p), z.accumulate});
  }
  void cross_after_bias(Ops<T>& ops, const Point<T>& p, const ReverseArgs<T>& r, Sink<T> Rdz) const override {
    const Remainder<T>& lacking = *r.lacking;
    const View<T>& rz = r.Rx[0];
    if (!one_position(p)) {
      complete(ops, lacking, rz);
      return cross(ops, p, r.dy, r.Rx, r.Ry, Span<const Sink<T>>(&Rdz, 1));
    }
    const auto z = Rdz.write();
    ops.for_each(
        z.view.lanes * samples(p), 1,
        CrossEntropyCrossAfterBias<T>{softmax(p), best(p), r.dy.data, lacking.bias.data, lacking.bias.lane_stride,
                                      rz.data, lacking.in_room ? lacking.room : rz.data, rz.lane_stride, z.view.data,
                                      z.view.lane_stride, samples(p), classes(p), lacking.in_room, z.accumulate});
  }
  void sqrt_hessian(Ops<T>& ops, const Point<T>& p, const T* w, Index first, Sink<T> dz) const override {
    const auto z = dz.write();
    Scratch scratch(ops.context());
    const View<T> weights = spread(ops, p, {const_cast<T*>(w), Shape{samples(p)}, 1, samples(p)}, share(p), scratch);
    ops.for_each(z.view.lanes * positions(p), classes(p),
                 CrossEntropyRoot<T>{softmax(p), weights.data, z.view.data, z.view.lane_stride, samples(p),
                                     per_sample(p), classes(p), first, z.accumulate});
  }
  void sample_target(Ops<T>& ops, const Point<T>& p, std::uint64_t seed, std::uint64_t stream,
                     Index first) const override {
    ops.for_each(positions(p), 1,
                 SampleClass<T>{softmax(p), p.x[1].data, classes(p), first * per_sample(p), seed, stream});
    // The mean over draws of (sum_i c_i g_i)(sum_i c_i g_i)' is sum_i c_i^2 H_i: 1 / count is to be c_i^2.
    if (!one_position(p)) ops.for_each(samples(p), 1, PositionShares<T>{p.x[1].data, factor(p), per_sample(p), true});
  }

 private:
  using Loss<T>::samples;
  static Index classes(const Point<T>& p) { return p.x[0].shape[p.x[0].shape.rank() - 1]; }
  static Index positions(const Point<T>& p) { return p.x[1].size(); }
  static Index per_sample(const Point<T>& p) { return positions(p) / samples(p); }
  /// One class for a sample, which always counts.
  static bool one_position(const Point<T>& p) { return p.x[1].shape.rank() == 1; }
  static Index* best(const Point<T>& p) { return static_cast<Index*>(p.saved); }
  static T* softmax(const Point<T>& p) { return reinterpret_cast<T*>(best(p) + positions(p)); }
  static T* share(const Point<T>& p) { return softmax(p) + p.x[0].size(); }
  static T* factor(const Point<T>& p) { return share(p) + positions(p); }

  /// What belongs to samples, times a number for each of their positions.
  View<T> spread(Ops<T>& ops, const Point<T>& p, const View<T>& d, const T* by, Scratch& scratch) const {
    if (one_position(p)) return d;
    const Index n = positions(p), each = per_sample(p);
    T* to = scratch.take<T>(d.lanes * n);
    ops.for_each(d.lanes * samples(p), each, SpreadOverPositions<T>{d.data, d.lane_stride, by, to, samples(p), each});
    return {to, Shape{n}, d.lanes, n};
  }
};

/// Losses that are a sum over outputs of F(z, t): inputs z and t, both [N][...].
template <class T, class F>
class OutputLoss final : public Loss<T> {
  using Loss<T>::samples;

 public:
  explicit OutputLoss(std::string_view name) : name_(name) {}
  std::string_view name() const override { return name_; }
  Shape infer(Span<const Shape> in) const override {
    if (!(in[0] == in[1]))
      throw InputError(fmt::format("{}: output {} and target {} differ", name_, in[0].to_string(), in[1].to_string()));
    return {};
  }
  void forward(Ops<T>& ops, const Point<T>& p) const override {
    ops.for_each(samples(p), 1, OutputLossValue<T, F>{p.x[0].data, p.x[1].data, p.y.data, outputs(p)});
  }
  void jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry) const override {
    const auto y = Ry.write();
    ops.for_each(y.view.lanes * samples(p), 1,
                 OutputLossJvp<T, F>{p.x[0].data, p.x[1].data, Rx[0].data, Rx[0].lane_stride, y.view.data,
                                     y.view.lane_stride, samples(p), outputs(p), y.accumulate});
  }
  void vjp(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const override {
    if (!dx[0]) return;
    const auto z = dx[0].write();
    ops.for_each(z.view.lanes * samples(p), outputs(p),
                 OutputLossVjp<T, F>{p.x[0].data, p.x[1].data, dy.data, dy.lane_stride, z.view.data, z.view.lane_stride,
                                     samples(p), outputs(p), z.accumulate});
  }
  void cross(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const View<T>> Rx, View<T>,
             Span<const Sink<T>> Rdx) const override {
    if (!Rdx[0]) return;
    const auto z = Rdx[0].write();
    ops.for_each(z.view.lanes * samples(p), outputs(p),
                 OutputLossCross<T, F>{p.x[0].data, p.x[1].data, dy.data, Rx[0].data, Rx[0].lane_stride, z.view.data,
                                       z.view.lane_stride, samples(p), outputs(p), z.accumulate});
  }
  void cross_after_bias(Ops<T>& ops, const Point<T>& p, const ReverseArgs<T>& r, Sink<T> Rdz) const override {
    const Remainder<T>& lacking = *r.lacking;
    const View<T>& rz = r.Rx[0];
    const auto z = Rdz.write();
    ops.for_each(
        z.view.lanes * samples(p), outputs(p),
        OutputLossCrossAfterBias<T, F>{p.x[0].data, p.x[1].data, r.dy.data, lacking.bias.data, lacking.bias.lane_stride,
                                       rz.data, lacking.in_room ? lacking.room : rz.data, rz.lane_stride, z.view.data,
                                       z.view.lane_stride, samples(p), outputs(p), lacking.in_room, z.accumulate});
  }
  void sqrt_hessian(Ops<T>& ops, const Point<T>& p, const T* w, Index first, Sink<T> dz) const override {
    const auto z = dz.write();
    ops.for_each(z.view.lanes * samples(p), outputs(p),
                 OutputLossRoot<T, F>{p.x[0].data, p.x[1].data, w, z.view.data, z.view.lane_stride, samples(p),
                                      outputs(p), first, z.accumulate});
  }
  void sample_target(Ops<T>& ops, const Point<T>& p, std::uint64_t seed, std::uint64_t stream,
                     Index first) const override {
    if constexpr (std::is_same_v<F, HuberLoss>)
      Op<T>::sample_target(ops, p, seed, stream, first);
    else if constexpr (std::is_same_v<F, SquaredError>)
      ops.for_each(samples(p), outputs(p), SampleNormal<T>{p.x[0].data, p.x[1].data, outputs(p), first, seed, stream});
    else
      ops.for_each(samples(p), outputs(p),
                   SampleBernoulli<T>{p.x[0].data, p.x[1].data, outputs(p), first, seed, stream});
  }

 private:
  static Index outputs(const Point<T>& p) { return p.x[0].size() / samples(p); }
  std::string_view name_;
};

}  // namespace
}  // namespace detail

template <class T>
Node cross_entropy(Graph<T>& g, Node logits, Node target) {
  return g.apply(std::make_unique<detail::CrossEntropy<T>>(), {logits, target});
}
template <class T>
Node squared_error(Graph<T>& g, Node output, Node target) {
  return g.apply(std::make_unique<detail::OutputLoss<T, detail::SquaredError>>("squared_error"), {output, target});
}
template <class T>
Node bce(Graph<T>& g, Node logits, Node target) {
  return g.apply(std::make_unique<detail::OutputLoss<T, detail::LogisticLoss>>("bce"), {logits, target});
}

template <class T>
Node huber(Graph<T>& g, Node output, Node target) {
  return g.apply(std::make_unique<detail::OutputLoss<T, detail::HuberLoss>>("huber"), {output, target});
}

template Node cross_entropy(Graph<float>&, Node, Node);
template Node cross_entropy(Graph<double>&, Node, Node);
template Node squared_error(Graph<float>&, Node, Node);
template Node squared_error(Graph<double>&, Node, Node);
template Node bce(Graph<float>&, Node, Node);
template Node bce(Graph<double>&, Node, Node);
template Node huber(Graph<float>&, Node, Node);
template Node huber(Graph<double>&, Node, Node);

}  // namespace hso
