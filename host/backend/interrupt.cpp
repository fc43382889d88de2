// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/core/interrupt.hpp"

#include <utility>

namespace hso {
namespace {

thread_local InterruptScope* t_innermost = nullptr;

constexpr double kShortOrder = 512;  // up to here a factorisation takes a tenth of a second at most

}  // namespace

InterruptScope::InterruptScope(std::function<bool()> stop, std::function<void(bool)> blocking)
    : stop_(std::move(stop)), blocking_(std::move(blocking)), outer_(t_innermost) {
  t_innermost = this;
}

InterruptScope::~InterruptScope() { t_innermost = outer_; }

std::function<bool()> InterruptScope::innermost_stop() {
  return t_innermost == nullptr ? std::function<bool()>() : t_innermost->stop_;
}

std::function<void(bool)> InterruptScope::innermost_blocking() {
  return t_innermost == nullptr ? std::function<void(bool)>() : t_innermost->blocking_;
}

void check_interrupted() {
  if (t_innermost != nullptr && t_innermost->stops()) throw Interrupted();
}

bool interruptible() { return t_innermost != nullptr && t_innermost->stop_; }

/// Asks last: a signal that comes before is still remembered, and one that comes after ends the process.
BlockingWork::BlockingWork(Index order, Index count) {
  const auto n = static_cast<double>(order);
  if (t_innermost == nullptr || n * n * n * static_cast<double>(count) < kShortOrder * kShortOrder * kShortOrder)
    return;
  if (t_innermost->blocking_ && t_innermost->depth_ == 0) t_innermost->blocking_(true);
  ++t_innermost->depth_;
  scope_ = t_innermost;
  if (!scope_->stops()) return;
  end();
  throw Interrupted();
}

void BlockingWork::end() {
  if (scope_ != nullptr && --scope_->depth_ == 0 && scope_->blocking_) scope_->blocking_(false);
}

BlockingWork::~BlockingWork() { end(); }

}  // namespace hso
