// SPDX-License-Identifier: Apache-2.0
//
// What mini-batch K-FAC and EKFAC hold between steps: running averages of the Kronecker factors and, refreshed when the
// caller says so, their damped inverses or their eigenbases with second moments. Nothing is allocated after the first
// round. Formulas: kronecker.hpp, optim/preconditioned.hpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hsogpu/detail/queued_factorisations.hpp"
#include "linalg/queued_numbers.hpp"
#include "objective/kronecker_state.hpp"
#include "objective/micro_batches.hpp"

namespace hso::detail {

template <class T>
class RunningFactors {
 public:
  /// MemoryError before anything is made; UsageError as for every Kronecker factor.
  RunningFactors(MicroBatches<T>& batches, Curvature source);
  bool belongs_to(const MicroBatches<T>& batches) const { return &batches.network.graph == &average_.graph; }

  /// Averages, inverses and eigenbases: what steps leave behind.
  void visit_state(StateVisitor& state);

  /// f and g at theta, and the factors there, not averaged yet; fisher_mc draws targets number `draw`.
  double gradient(MicroBatches<T>& batches, const T* theta, T* g, std::uint64_t draw);
  /// Whether results come late and all blocks are small enough to be factored together.
  bool queues() const { return queued_ != nullptr; }
  /// Where it queues: the same without a wait for a selection that fits one micro-batch, the value left in device
  /// memory.
  void gradient_on_device(MicroBatches<T>& batches, const T* theta, T* g, double* value, std::uint64_t draw);
  /// average := keep average + (1 - keep) the last factors
  void average(double keep);

  /// (B + sqrt(delta) / pi I)^-1 and (A + pi sqrt(delta) I)^-1 of every block; says which layer has none.
  std::string invert(double delta);
  void apply_inverse(const T* g, T* step);
  /// Of the averages' largest eigenvalue: the largest |A|_F |B|_F.
  double bound() const;

  /// Eigenbases of the averages; says which layer has none.
  std::string decompose();
  /// The largest eigenvalue, or second moment.
  double largest() const;
  /// Second moments in the eigenbases := keep of them + (1 - keep) of those at theta.
  void correct(MicroBatches<T>& batches, const T* theta, std::uint64_t draw, double keep);
  /// step = Q' ((Q g) / (moments + delta))
  void apply_corrected(const T* g, double delta, T* step);

 private:
  using Matrix = typename QueuedFactorisations<T>::Matrix;
  Index n() const { return average_.graph.parameter_count(); }
  /// Queues sizes and traces of the fresh factors to `sizes`; looks at them, and what follows for the averages.
  void measure(double* sizes);
  void look(double keep);
  /// False where one by one is the way.
  bool decompose_together();
  bool invert_together(double delta);
  std::vector<Matrix> damped_copies(double delta);
  bool succeeded(Index infos);
  /// Launches that are the same for the same g and step.
  void applied(const T* g, T* step, const std::function<void()>& launch);
  std::string invert_one(const LayerBlock& place, Index n, const Buffer<T>& factor, double shift, Buffer<T>& out);

  Context& context_;
  Curvature source_;
  KroneckerState<T> average_, fresh_;
  std::vector<Buffer<T>> inverse_a_, inverse_b_, reciprocals_;  ///< of each block
  StateVersion inverse_version_;

  // Where results come late: factorisations of all blocks are queued and their outcome is read at once. Factors that
  // need a scale of their own, and those that one of them fails on, are taken one by one.
  QueuedFactorisations<T>* queued_ = nullptr;
  std::unique_ptr<QueuedNumbers> sizes_, outcome_;
  std::unique_ptr<Recorded> recorded_;
  Buffer<T> ones_;
  std::vector<double> traces_;  ///< of the averages: A and B of every block
  bool ordinary_ = false;       ///< the averages are finite and need no scale
  double largest_ = -1;         ///< of the tables where the host made them; below 0: ask the device
  double bound_ = -1;           ///< where the norms came with the inverses; below 0: ask the device
};

}  // namespace hso::detail
