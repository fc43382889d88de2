// SPDX-License-Identifier: Apache-2.0
//
// The loops of a tape: forward, backward, and R-forward with R-backward, over buffers laid out by plan_tape.
#pragma once

#include <functional>

#include "graph/tape_plan.hpp"
#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/tape.hpp"

namespace hso::detail {

template <class T>
struct Traversal {
  struct Slot {
    View<T> y;
    Accumulator<T> dy, Ry, Rdy;
    void* saved = nullptr;
    T* kept = nullptr;
    std::vector<View<T>> x;  ///< inputs' values
  };

  /// `adjoints`: run_forward may go backward, and there may be Hessian products.
  Traversal(Context& context, const Graph<T>& graph, Index batch, Index lanes, bool adjoints);

  /// Values at theta and, with `backward`, adjoints; g (+)= gradient unless g is null.
  void run_forward(const T* theta, T* g, bool backward, bool add);
  /// Between parameter leaves, one view for each. Launches are replayed while the addresses stay the same.
  void run_product(Curvature kind, Span<const View<T>> tangents, Span<const View<T>> results, bool add) {
    launch_product(kind, tangents, results, add, nullptr, nullptr);
  }
  /// hv (+)= curvature v on whole vectors, at most `lanes` of them; replayed wherever v and hv lie.
  void run_product(Curvature kind, const View<const T>& v, const View<T>& hv, bool add);
  /// Repeated launches are recorded: callers keep addresses the same where that costs little.
  bool replays() const { return recorded_product_->replays(); }
  /// Backpropagates `lanes` adjoints of the output from the columns first, first + 1, ... of the loss' root, or with
  /// `gradient` (one lane) from its gradient, each sample scaled by sqrt(w_n); `visit` sees the adjoint of every
  /// product layer's output, valid during the call.
  using Visit = std::function<void(Node, const View<T>& adjoint)>;
  void run_adjoints(bool gradient, Index first, Index count, const Visit& visit);
  double loss();
  void loss_on_device(double* value);  ///< queued, into device memory
  void clear(const View<T>& v);

  Point<T> point(Node node);
  Slot& slot(Node node) { return slots[static_cast<std::size_t>(node)]; }
  const NodePlan& node_plan(Node node) const { return plan.nodes[static_cast<std::size_t>(node)]; }

  Context& context;
  Ops<T>& ops;
  const Graph<T>& graph;
  Index batch, lanes;
  bool adjoints;
  TapePlan plan;
  TapeMemory place;
  Buffer<T> memory;
  T *theta, *weights;
  Buffer<char> saved;
  Buffer<std::uint64_t> step;
  Buffer<Index> rows;  ///< [batch], numbers of the rows: 0, 1, ... unless somebody says otherwise; empty: not asked for
  bool training = false;
  Buffer<T> own_statistics;  ///< two of the graph's
  T *statistics, *next_statistics;
  std::vector<Slot> slots;

 private:
  void make_slots();
  void forward_pass();
  void backward_pass(T* g, bool add);
  Remainder<T> tangent_pass(Curvature kind, T* room);
  void reverse_tangent_pass(Curvature kind, T* room, const Remainder<T>& lacking);
  void fisher_seed();
  void start_adjoints(Index count);
  void seed_adjoints(bool gradient, Index first, Index count);
  void start_product(Span<const View<T>> tangents, Span<const View<T>> results, bool add);
  /// Leaves that nothing reached are zero.
  void clear_unwritten(Accumulator<T> Slot::*which);
  /// An input's tangent, or a null view.
  View<T> tangent(Node node);
  bool gather_tangents(Node node);
  void gather_sinks(Node node, Accumulator<T> Slot::*which);
  /// Whether the first input of `reader` lies in the memory of `node`.
  bool reads_first(Node reader, Node node) const;
  ReverseArgs<T> reverse_args(Node node, Curvature kind);

  /// `copied`: the vector is copied from there to v first, unless null.
  void product_at(Curvature kind, const View<const T>& v, const View<T>& hv, bool add, const T* copied);
  /// `room`: ops may leave parts of tangents there (Remainder); null: they may not.
  void launch_product(Curvature kind, Span<const View<T>> tangents, Span<const View<T>> results, bool add,
                      const T* copied, T* room);
  void copy_direction(const T* v);
  void keep_reached();
  void restore_reached();

  bool trained_ = false;  ///< the last forward pass was one in training
  std::unique_ptr<Recorded> recorded_forward_, recorded_product_;
  std::vector<char> reached_;  ///< by the backward pass: which nodes' adjoints it writes
  const T* last_v_ = nullptr;  ///< of the last product on whole vectors
  const T* last_hv_ = nullptr;
  std::vector<View<T>> tangents_, results_;  ///< of the product on whole vectors that is under way
  std::vector<std::uintptr_t> key_;
  std::vector<char> wanted_;  ///< of this traversal: some wanted result lies upstream
  std::vector<View<T>> Rx_;
  std::vector<Sink<T>> sinks_;
};

}  // namespace hso::detail
