// SPDX-License-Identifier: Apache-2.0
//
// Steps that are queued without waiting for their outcome. On a GPU a step of a first-order method is then a launch or
// two and a replayed CUDA graph; on a CPU a queued step is done when push returns.
//
//   StepQueue<float> queue(context, *optimizer);
//   for (int i = 0; i < 100; ++i) queue.push(objective, theta.data());
//   const StepQueue<float>::Outcome o = queue.look();       waits: 100 steps taken, or the one that was refused
//
// The steps are those that Optimizer::step would take, to the bit, and so is the report of the last one. A step whose
// loss, gradient or step is not finite leaves theta and the method's state as they were, and so does everything queued
// behind it, until somebody looks. Methods and objectives that need the host take their steps one by one inside push.
#pragma once

#include <functional>
#include <memory>

#include "hsogpu/optim/optimizer.hpp"

namespace hso {

namespace detail {
template <class T>
class DeviceQueue;
}

template <class T>
class StepQueue {
 public:
  /// Keeps both references. Meanwhile steps of this optimizer go through this queue alone.
  StepQueue(Context& context, Optimizer<T>& optimizer);
  ~StepQueue();

  void push(Objective<T>& objective, T* theta);
  /// Called before a step that the host takes, when nothing is queued.
  std::function<void()> before_host_step;

  struct Outcome {
    Index taken = 0;       ///< steps since the last look, a refused one included
    bool refused = false;  ///< the last of them was not accepted: report.status says why
    StepReport report;     ///< of the last of them
  };
  /// Waits for the steps that were pushed since the last look, and lets a queue that was stopped go on.
  Outcome look();
  /// Without waiting for what is queued now: whether a step was refused before the last call.
  bool glance();

 private:
  Optimizer<T>& optimizer_;
  std::unique_ptr<detail::DeviceQueue<T>> queue_;
  void settle();
  Outcome outcome_;  ///< since the last look, as far as it is known
};

}  // namespace hso
