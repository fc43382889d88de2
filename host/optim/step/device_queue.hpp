// SPDX-License-Identifier: Apache-2.0
//
// Runs queued steps: numbers from the host's arguments, one recorded sequence, and the record of the last step that is
// read when somebody looks. Theta and the state of a method stay as they were before the first step whose check failed,
// whatever is queued behind it.
#pragma once

#include <memory>
#include <vector>

#include "optim/step/queued_step.hpp"

namespace hso::detail {

template <class T>
class DeviceQueue {
 public:
  explicit DeviceQueue(Context& context);
  Context& context() const { return context_; }

  /// Queues a step: one launch and, from the third repetition on, one graph. False, and nothing done, where the step
  /// needs the host.
  bool push(QueuedStep<T>& method, Objective<T>& objective, T* theta);

  struct Outcome {
    Index taken = 0;       ///< steps since the last look, a refused one included
    bool refused = false;  ///< the last of them
    StepReport report;     ///< of the last of them
  };
  /// Waits for what was queued. A queue that a step has stopped goes on after this.
  Outcome look(QueuedStep<T>& method);
  /// Whether what was posted by the last call shows a refused step; the host does not wait for what is queued now.
  bool glance();

  /// For steps that the host decides about: the flags set, places for the launches, and what these left there.
  DevicePlaces begin(Span<const double> numbers);
  StepPlaces<const double> read(const DevicePlaces& used);
  const std::uint64_t* go() const { return &flags_.data()->go; }

 private:
  void reset();
  void store(Span<const double> numbers);
  void launch_step(QueuedStep<T>& method, Objective<T>& objective, T* theta);

  Context& context_;
  Ops<T>& ops_;
  Buffer<StepFlags> flags_;
  Buffer<double> memory_, record_;
  std::unique_ptr<Recorded> recorded_;
  std::unique_ptr<Readback> readback_;
  std::vector<std::uintptr_t> key_;
  std::vector<double> numbers_, host_;
  Index queued_ = 0, looked_at_ = 0;  ///< steps since the flags were set
  bool posted_ = false;
};

}  // namespace hso::detail
