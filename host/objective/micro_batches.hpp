// SPDX-License-Identifier: Apache-2.0
//
// A selection of rows cut into micro-batches of at most `batch`, each bound to a tape when it is needed: what all
// curvature kinds of a network work on.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "hsogpu/detail/op.hpp"
#include "hsogpu/graph/tape.hpp"
#include "hsogpu/objective/network_objective.hpp"

namespace hso::detail {

// Gradient-equivalents (network_objective.hpp).
constexpr double kValueCost = 1.0 / 3, kAdjointCost = 1.0 / 3, kHessianCost = 2, kGgnCost = 4.0 / 3,
                 kSweepCost = 2.0 / 3;

/// A tape, the micro-batch of the selection that is bound to it, and the dropout masks that it has been told.
template <class T>
struct BoundTape {
  std::unique_ptr<Tape<T>> tape;
  Index micro_batch = -1;
  std::uint64_t selection = 0, masks = 0;
};

/// Vectors of n numbers that go from one operator to the next: a step that asks for a curvature allocates nothing after
/// its first round. Operators share it, so that it is there when the last of them gives its vector back.
template <class T>
class SpareVectors {
 public:
  Buffer<T> take(Context& context, Index n) {
    if (spare_.empty()) return Buffer<T>(context, n);
    Buffer<T> out = std::move(spare_.back());
    spare_.pop_back();
    return out;
  }
  void give_back(Buffer<T> vector) { spare_.push_back(std::move(vector)); }

 private:
  std::vector<Buffer<T>> spare_;
};

/// Outputs that name their label, and labels.
struct Hits {
  double hits = 0, counted = 0;
};

/// The op whose rows depend on each other in training, that with the fewest numbers of a row for each statistic; null:
/// none.
template <class T>
const Op<T>* op_over_rows(const Graph<T>& graph);
/// UsageError names that layer where a training batch of `rows` goes in parts of at most `most`, or is one number.
template <class T>
void require_whole_batch(const Graph<T>& graph, Index rows, Index most);

template <class T>
struct MicroBatches {
  MicroBatches(Context& c, const Network<T>& net, const DeviceData<T>& d, const NetworkObjectiveOptions& o);

  Index padded(Index count) const { return (count + batch - 1) / batch * batch; }
  Index count() const { return padded(selected) / batch; }
  Index n() const { return network.graph.parameter_count(); }

  void select(Span<const Index> chosen);
  void set_order(Span<const Index> all);
  void shuffle(std::uint64_t seed);
  void select_from_order(Index first, Index count, std::uint64_t training_step);
  void set_training(bool on, std::uint64_t training_step);
  void set_statistics(Span<const double> values);
  /// The row of the data that is number i of the selection.
  Index row_of(Index i);
  Tape<T>& main(Index micro_batch) { return bound(main_tape, micro_batch, lanes); }
  /// Values of trial points run here, so that a linearisation survives them; it has room for values alone.
  Tape<T>& trial(Index micro_batch) { return bound(trial_tape, micro_batch, 0); }
  /// Adds `cost` gradients of this many rows to gradient_equivalents.
  void charge(double cost, Index of_rows) {
    gradient_equivalents += cost * static_cast<double>(of_rows) / static_cast<double>(data.size);
  }
  Index rows_of(Index micro_batch) const { return std::min(batch, selected - micro_batch * batch); }
  /// decay / 2 |theta|^2
  double penalty(const T* theta) const;
  Hits count_hits(Tape<T>& tape, Index micro_batch);

  /// Objective's: launches alone.
  void value_on_device(const T* theta, double* value);
  /// Objective's: launches alone, for a selection that fits one micro-batch.
  bool announce_gradient(std::vector<std::uintptr_t>& key, Index products, Curvature kind);
  void gradient_on_device(const T* theta, T* g, double* value);
  void product_on_device(Curvature kind, const T* v, T* hv);

  /// The main tape at theta with this micro-batch bound.
  Tape<T>& linearize(Index micro_batch, const T* theta, Linearization purpose);
  /// f of a micro-batch, and g (+)= its gradient; the main tape stands at theta then.
  double gradient(Index micro_batch, const T* theta, T* g, bool add);
  /// f and g of all rows, weight decay included; visit(tape, micro-batch) while the main tape stands there.
  double gradient(const T* theta, T* g, const std::function<void(Tape<T>&, Index)>& visit);
  /// Draw `draw` of the model's own targets in place of the data's, at a linearised micro-batch.
  void draw_targets(Tape<T>& tape, Index micro_batch, std::uint64_t draw);

  Context& context;
  Ops<T>& ops;
  const Network<T>& network;
  const DeviceData<T>& data;
  NetworkObjectiveOptions options;
  Index batch = 0, lanes = 0, selected = 0;
  Buffer<Index> rows;            ///< the selection, or an order that it is cut from
  std::vector<Index> host_rows;  ///< what `rows` holds; empty: nobody has asked for it since it was made on the device
  /// Where the selection begins in an order of `ordered` rows, and in device memory with its length and weight, so that
  /// launches that gather it are the same for every batch; 0: `rows` is the selection itself.
  Index first_row = 0, ordered = 0;
  Buffer<BatchPlace<T>> place;
  std::uint64_t selection = 0, step = 0;
  std::uint64_t masks = 0;  ///< changes with `training` and `step`
  bool training = false;
  BoundTape<T> main_tape, trial_tape;
  std::shared_ptr<SpareVectors<T>> points = std::make_shared<SpareVectors<T>>();  ///< where operators stand
  /// Version of the main tape's state, raised whenever its point, its rows, its targets or its masks change: an
  /// operator linearises again when the version that it saved differs.
  std::uint64_t version = 0;
  /// Running statistics: those that evaluations use, and those that the last gradient in training would leave.
  Buffer<T> statistics, next_statistics;
  double gradient_equivalents = 0;  ///< spent so far, in gradients over all rows of the data

 private:
  void require_rows(const char* what, Span<const Index> chosen) const;
  /// In training, of a network whose rows depend on each other.
  void require_whole() const { require_whole_batch(network.graph, selected, batch); }
  void upload_rows(Span<const Index> chosen);
  void place_batch(Index first, Index count, std::uint64_t* step_at);
  Tape<T>& made(BoundTape<T>& b, Index most_lanes);
  /// That, told of the dropout masks.
  Tape<T>& told(BoundTape<T>& b, Index most_lanes);
  /// The tape with rows [micro_batch * batch, ...) of the selection bound.
  Tape<T>& bound(BoundTape<T>& b, Index micro_batch, Index most_lanes);
  /// Inputs, targets and weights of a micro-batch to where the tape has them.
  void gather_micro_batch(Tape<T>& tape, Index micro_batch);
  void gather(const Buffer<T>& from, Index micro_batch, T* to);

  const std::uintptr_t id_;  ///< of this object, never used again
};

}  // namespace hso::detail
