// SPDX-License-Identifier: Apache-2.0
//
// When the host of an iterative solver looks at what the device found: after every iteration where looking is free;
// where results come late, after some of them, and one iteration after the copy was queued, so that the device always
// has work. Iterations queued behind the end change nothing (elements/krylov.hpp). What is looked at, and when, depends
// on the count of iterations alone, never on timing.
#pragma once

#include <algorithm>
#include <memory>

#include "hsogpu/core/context.hpp"

namespace hso::detail {

class LateLook {
 public:
  /// Of `count` numbers at `device`.
  LateLook(Context& context, const double* device, Index count) : context_(context), device_(device), count_(count) {}

  /// A new solve, whose first look comes after iteration `first` (0: not known), and the next ones `share` of the
  /// iterations so far later, at least kBetween.
  void start(Index first, double share) {
    next_ = first > 0 ? first : kBetween;
    share_ = share;
    posted_ = false;
  }
  /// Whether results come late here.
  bool late() const { return context_.is_cuda(); }
  /// After queueing iteration 1, 2, ...: the numbers as they stood after this one or the one before, or nothing.
  Span<const double> after(Index iteration) {
    if (!late()) return now();
    if (posted_) {
      posted_ = false;
      return readback_->values();
    }
    if (iteration < next_) return {};
    post();
    posted_ = true;
    next_ = iteration + std::max(kBetween, static_cast<Index>(share_ * static_cast<double>(iteration)));
    return {};
  }
  /// The numbers as they stand when everything queued is done.
  Span<const double> now() {
    post();
    return readback_->values();
  }

 private:
  static constexpr Index kBetween = 4;
  void post() {
    if (!readback_) readback_ = context_.make_readback(count_);
    readback_->post(device_, count_);
  }
  Context& context_;
  const double* device_;
  Index count_, next_ = kBetween;
  double share_ = 0;
  bool posted_ = false;
  std::unique_ptr<Readback> readback_;
};

}  // namespace hso::detail
