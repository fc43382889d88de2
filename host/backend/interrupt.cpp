// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/interrupt.hpp"

#include <utility>

namespace hso {
namespace {

thread_local InterruptScope* t_innermost = nullptr;

}  // namespace

InterruptScope::InterruptScope(std::function<bool()> stop, std::function<void(bool)> blocking)
    : stop_(std::move(stop)), blocking_(std::move(blocking)), outer_(t_innermost) {
  t_innermost = this;
}

InterruptScope::~InterruptScope() { t_innermost = outer_; }

void check_interrupted() {
  if (t_innermost != nullptr && t_innermost->stops()) throw Interrupted();
}

bool interruptible() { return t_innermost != nullptr && t_innermost->stop_; }

/// Asks last: a signal that comes before is still remembered, and one that comes after ends the process.
BlockingWork::BlockingWork() {
  if (t_innermost == nullptr) return;
  if (t_innermost->blocking_) t_innermost->blocking_(true);
  if (!t_innermost->stops()) return;
  if (t_innermost->blocking_) t_innermost->blocking_(false);
  throw Interrupted();
}

BlockingWork::~BlockingWork() {
  if (t_innermost != nullptr && t_innermost->blocking_) t_innermost->blocking_(false);
}

}  // namespace hso
