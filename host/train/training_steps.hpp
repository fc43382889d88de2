// SPDX-License-Identifier: Apache-2.0
//
// The steps of a training, what they have cost, and the way back from one that failed or was left in its middle: theta
// and the optimizer are then as they were before it, to the bit.
#pragma once

#include <memory>
#include <vector>

#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/optim/step_queue.hpp"
#include "train/batch_order.hpp"
#include "train/pending_steps.hpp"
#include "train/training_objectives.hpp"

namespace hso {

template <class T>
class TrainingSteps {
 public:
  /// Keeps references to all but the options.
  TrainingSteps(Context& context, Optimizer<T>& optimizer, TrainingObjectives<T>& objectives, Buffer<T>& theta,
                const Schedule& schedule, const TrainOptions& asked, Index rows)
      : context_(context),
        optimizer_(optimizer),
        objectives_(objectives),
        theta_(theta),
        schedule_(schedule),
        order_(rows, schedule.batch, asked.seed),
        curvature_order_(rows, asked.curvature_batch, asked.seed ^ kCurvatureOrder),
        snapshot_(context) {}

  /// From now on by `queue` and `look`.
  void queue_them() {
    queue_ = std::make_unique<StepQueue<T>>(context_, optimizer_);
    queue_->before_host_step = [this] { take_snapshot(); };
  }
  bool queues() const { return queue_ != nullptr; }

  /// A step whose outcome is waited for.
  StepReport take();
  /// Queues a step and counts it as accepted.
  void queue();
  /// Whether steps are queued that nobody has looked at.
  bool pending() const { return !pending_.empty(); }
  /// Now and then, without waiting: whether a queued step was refused.
  bool refused_one() { return pending_.size() % kGlance == 0 && queue_->glance(); }
  /// Waits for the queued steps. Those behind one that was refused were none: it is the last one counted.
  StepReport look();

  /// While `take` is at it: theta may not be that of a whole step.
  bool in_step() const { return in_step_; }
  /// Before that step, to the bit.
  const Buffer<T>& theta_before() const { return theta_before_; }
  RawTensors state_before() const { return snapshot_.to_host(); }
  /// A step that was left in its middle was none.
  void leave() {
    if (in_step_) restore_snapshot();
    in_step_ = false;
  }

  const Progress& progress() const { return progress_; }
  const Cost& spent() const { return spent_; }  ///< in steps: evaluations and files are left out
  const Cost& last_cost() const { return last_cost_; }
  /// After whatever asked for gradients between steps.
  void count_gradients() { counts_ = objectives_.counts(); }

  /// How far the steps are. Nothing is pending.
  void visit_state(StateVisitor& state);
  /// After it was read.
  void restored() { objectives_.set_counts(counts_); }

 private:
  // Curvature batches come in an order of their own.
  static constexpr std::uint64_t kCurvatureOrder = 0x63757276;  // "curv"
  // Queued steps between two glances at what has become of them.
  static constexpr std::size_t kGlance = 32;

  void take_snapshot();
  void restore_snapshot();

  Context& context_;
  Optimizer<T>& optimizer_;
  TrainingObjectives<T>& objectives_;
  Buffer<T>& theta_;
  const Schedule& schedule_;
  BatchOrder order_, curvature_order_;
  std::unique_ptr<StepQueue<T>> queue_;
  PendingSteps pending_;
  Progress progress_;
  Cost spent_, last_cost_;
  Index epoch_on_device_ = -1;
  std::vector<typename TrainingObjectives<T>::Counts> queued_counts_;  ///< behind each step that is pending
  Buffer<T> theta_before_;                                             ///< theta when the snapshot was taken
  StateSnapshot snapshot_;                                             ///< of the optimizer, then
  Index snapshot_step_ = -1;
  bool in_step_ = false;
  typename TrainingObjectives<T>::Counts counts_;  ///< as of the last whole step or evaluation
};

}  // namespace hso
