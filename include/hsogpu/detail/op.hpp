// SPDX-License-Identifier: Apache-2.0
//
// What one node of a graph can do: four rules, from which every derivative of every network follows (Pearlmutter 1994).
//
//   forward   y = F(x...)                                 and what it saves
//   jvp       Ry = sum_i J_i Rx_i                         K lanes
//   vjp       dx_i += J_i' dy                             1 or K lanes
//   cross     Rdx_i += (R J_i)' dy                        K lanes: the second-order term and nothing else
//
// R-backward is composed: per node in reverse, vjp of Rdy, then cross of dy. Rules are stateless and const; scratch
// comes from the context's arena. Control flow may depend on which views are null, never on data.
//
// Four more are optional, for speed: they do what the four do in fewer launches, and say the same by default.
//
//   backward         vjp of the point's own adjoint dy, the one that cross gets; may keep what cross and reverse use
//   reverse          vjp of Rdy and cross of dy in one pass
//   begin_jvp        jvp that leaves terms of Ry to the op that reads it next (a bias, one of two products)
//   complete_jvp     jvp of an op that adds such terms to its Rx while it reads it
#pragma once

#include <string>
#include <string_view>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/types.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

/// A node's inputs and output at the current point.
template <class T>
struct Point {
  Span<const View<T>> x;  ///< full shapes, batch first
  View<T> y;
  void* saved = nullptr;                ///< saved_bytes() bytes that forward and backward fill
  const std::uint64_t* step = nullptr;  ///< device memory: the training step, for dropout masks
  bool training = false;
  const Index* rows = nullptr;  ///< device memory, [batch]: the numbers of the rows, where an op draws_by_row()
  T* kept = nullptr;            ///< what jvp leaves for cross and reverse: kept_size() numbers a lane
  const T* weights = nullptr;   ///< device memory, [batch]: of the rows; 0: a row that only fills the batch
  /// Device memory, as Graph::statistics(): what an evaluation uses, and where a forward pass in training leaves what
  /// they become if its step is taken.
  const T* statistics = nullptr;
  T* next_statistics = nullptr;
};

/// Accumulated result of one node: `written` false means that nothing was added yet and the memory is not initialised.
template <class T>
struct Accumulator {
  View<T> view;
  bool written = false;
};

/// Where a rule writes one result. Empty: not wanted, skip the work.
template <class T>
class Sink {
 public:
  /// One whole-tensor write: overwrite when `accumulate` is false, add when it is true.
  struct Target {
    View<T> view;
    bool accumulate;
    T beta() const { return accumulate ? T(1) : T(0); }
  };

  Sink() = default;
  Sink(Accumulator<T>& accumulator, const Shape& shape) : accumulator_(&accumulator), shape_(shape) {}
  explicit operator bool() const { return accumulator_ != nullptr; }
  Index lanes() const { return accumulator_->view.lanes; }
  bool written() const { return accumulator_->written; }

  /// Ask right before each whole-tensor write: two inputs of an op may be one node.
  Target write() const {
    const bool accumulate = accumulator_->written;
    accumulator_->written = true;
    return {accumulator_->view.reshaped(shape_), accumulate};
  }
  /// For writers of a part: the tensor, zero-filled when nothing was written before.
  View<T> add(Ops<T>& ops) const {
    const Target target = write();
    if (!target.accumulate)
      ops.for_each(target.view.lanes, target.view.size(), Fill<T>{target.view.data, target.view.lane_stride, T(0)});
    return target.view;
  }

 private:
  Accumulator<T>* accumulator_ = nullptr;
  Shape shape_;
};

/// What a tangent still lacks when its op is done: the next op adds it.
template <class T>
struct Remainder {
  /// Room for a tensor of one lane, or null: then a sum of two products is made whole. It lies behind everything else
  /// of the tape in one allocation, as do the operands: two products of equal shape then are one strided batch.
  T* room = nullptr;
  bool in_room = false;  ///< the tensor there is to be added
  View<T> bias;          ///< null, or a row for each lane, to be added to each of its rows
};

/// What R-backward knows of a node: null views are zero.
template <class T>
struct ReverseArgs {
  View<T> Rdy, dy;
  Span<const View<T>> Rx;
  View<T> Ry;
  const T* more = nullptr;                ///< one lane that Rdy still lacks; only for ops that complete tangents
  Remainder<T>* left = nullptr;           ///< where a part of Rdx_0 may be left; null: nowhere
  const Remainder<T>* lacking = nullptr;  ///< what Rx_0 still lacks; only for losses that complete tangents
};

/// Which inputs may carry the batch as their first axis; parameters and what is computed from them alone do not.
enum class BatchRule {
  first_may,   ///< the first may, the others must not: x with weights
  first_must,  ///< the first must, the others must not
  all_equal,   ///< all or none
  all_must
};

/// Channels in and out of one group, and positions of one sample. The weight of a group is [outputs][inputs], or
/// `transposed`, as tables of rows are.
struct ProductSizes {
  Index groups, inputs, outputs, positions;
  bool transposed = false;
};

/// A layer y[t] = W x[t] + b at every position t of a sample, in groups of channels (linear: W and x as they are;
/// conv2d: x[t] a patch). Inputs are x, weight and, where there is one, bias. What Kronecker factors and exact
/// diagonals need to see of a layer; rows of a result are channels, its columns the positions of samples first, first +
/// 1, ...
template <class T>
class ProductLayer {
 public:
  virtual ~ProductLayer() = default;
  /// From shapes without the batch.
  virtual ProductSizes product_sizes(Span<const Shape> inputs, const Shape& output) const = 0;
  /// to[inputs][samples * positions]
  virtual void input_rows(Ops<T>&, const Point<T>&, Index group, Index first, Index samples, T* to) const = 0;
  /// to[outputs][lanes][samples * positions] from dy, of the shape of the output
  virtual void output_rows(Ops<T>&, const Point<T>&, const View<T>& dy, Index group, Index first, Index samples,
                           T* to) const = 0;
};

template <class T>
class Op {
 public:
  virtual ~Op() = default;
  virtual std::string_view name() const = 0;
  /// Output shape from the inputs' shapes, all without the batch. InputError shows the shapes that do not fit.
  virtual Shape infer(Span<const Shape> inputs) const = 0;
  virtual BatchRule batch_rule() const { return BatchRule::first_may; }
  /// True: one number for each sample from (z, target); `cross` is the second derivative in z, so it gives the GGN.
  virtual bool is_loss() const { return false; }
  /// Losses: replaces the target by a draw from the distribution whose negative log-likelihood the loss is, at the
  /// point's output. Draw number `stream` of `seed`; rows count from `first`.
  virtual void sample_target(Ops<T>&, const Point<T>&, std::uint64_t /*seed*/, std::uint64_t /*stream*/,
                             Index /*first*/) const {
    throw UsageError(
        std::string(name()) +
        ": has no distribution to draw targets from; take factors=ggn, or another curvature than fisher_mc");
  }
  /// Losses: lane k of dz is sqrt(w_n) times column first + k of S_n, where S_n S_n' = d^2 loss_n / dz^2 and S_n has as
  /// many columns as z_n has entries.
  virtual void sqrt_hessian(Ops<T>&, const Point<T>&, const T* /*w*/, Index /*first*/, Sink<T> /*dz*/) const {
    throw UsageError(std::string(name()) + ": has no root of its second derivative");
  }
  /// Layers that multiply by a weight show themselves here; null: not such a layer.
  virtual const ProductLayer<T>* as_product() const { return nullptr; }
  /// Lanes that are worth a traversal however wide they are: a convolution gathers patches once for all of them.
  virtual Index worthwhile_lanes() const { return 1; }
  /// Bytes that forward and backward leave for the other rules; full shapes.
  virtual Index saved_bytes(Span<const Shape>, const Shape&) const { return 0; }
  /// Numbers of one lane that jvp leaves for cross and reverse; full shapes.
  virtual Index kept_size(Span<const Shape>, const Shape&) const { return 0; }
  /// True: y is x under another shape; the tape shares the memory and calls no rule.
  virtual bool is_alias() const { return false; }
  /// Whether forward draws random numbers for every row, so that the rows must be known by number.
  virtual bool draws_by_row() const { return false; }
  /// Above 0: in training a row of the output depends on the other rows of the batch, whose numbers come together in
  /// statistics, so many of each row. Such a batch cannot be cut, and needs two numbers for each statistic.
  virtual Index numbers_of_row(const Shape& /*output of a sample*/) const { return 0; }

  virtual void forward(Ops<T>&, const Point<T>&) const = 0;
  virtual void jvp(Ops<T>&, const Point<T>&, Span<const View<T>> Rx, Sink<T> Ry) const = 0;
  virtual void vjp(Ops<T>&, const Point<T>&, View<T> dy, Span<const Sink<T>> dx) const = 0;
  virtual void cross(Ops<T>&, const Point<T>&, View<T> dy, Span<const View<T>> Rx, View<T> Ry,
                     Span<const Sink<T>> Rdx) const = 0;

  virtual void backward(Ops<T>& ops, const Point<T>& p, View<T> dy, Span<const Sink<T>> dx) const {
    vjp(ops, p, dy, dx);
  }
  virtual void reverse(Ops<T>& ops, const Point<T>& p, const ReverseArgs<T>& r, Span<const Sink<T>> Rdx) const {
    if (r.Rdy) vjp(ops, p, r.Rdy, Rdx);
    if (r.dy) cross(ops, p, r.dy, r.Rx, r.Ry, Rdx);
  }
  virtual void begin_jvp(Ops<T>& ops, const Point<T>& p, Span<const View<T>> Rx, Sink<T> Ry, Remainder<T>&) const {
    jvp(ops, p, Rx, Ry);
  }
  /// True: complete_jvp is there, and reverse adds `more`. Such an op has one input. Of a loss: reverse adds `lacking`
  /// to Rx_0.
  virtual bool completes_tangents() const { return false; }
  /// Rx gets what it lacks; Ry is that of the whole.
  virtual void complete_jvp(Ops<T>&, const Point<T>&, const Remainder<T>&, View<T> /*Rx*/, Sink<T> /*Ry*/) const {
    throw UsageError(std::string(name()) + ": completes no tangents");
  }
};

}  // namespace hso::detail
