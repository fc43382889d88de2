// SPDX-License-Identifier: Apache-2.0
//
// Numbers that steps of a solver leave in device memory, read by the host later and all at once.
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <vector>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

/// Numbers that the device leaves one after the other and the host reads together: one wait for all of them, or none
/// when the host has waited for something queued behind them.
class QueuedNumbers {
 public:
  QueuedNumbers(Context& context, Index capacity)
      : numbers_(context, capacity), readback_(context.make_readback(capacity)) {}

  /// A new series; what was posted before must have been read.
  void start() { count_ = 0; }
  /// Device memory for the next `count` numbers of the series.
  double* take(Index count = 1) {
    if (count_ + count > numbers_.size())
      throw UsageError(fmt::format("QueuedNumbers: {} numbers, expected at most {}", count_ + count, numbers_.size()));
    count_ += count;
    return numbers_.data() + count_ - count;
  }
  /// The same for numbers of another type, which begin at a new double.
  template <class U>
  U* take_as(Index count) {
    return reinterpret_cast<U*>(take(doubles_for<U>(count)));
  }
  template <class U>
  static Index doubles_for(Index count) {
    return (count * static_cast<Index>(sizeof(U)) + 7) / 8;
  }
  /// The next number: x'y
  template <class T>
  void dot(Ops<T>& ops, Index n, const T* x, const T* y) {
    ops.dots_on_device(1, n, x, n, y, n, take());
  }
  void post() {
    seen_ = {};
    readback_->post(numbers_.data(), count_);
  }
  /// Of the series that was posted last, in the order of `take`; valid until the next post.
  Span<const double> values() {
    if (seen_.empty()) seen_ = readback_->values();
    return seen_;
  }
  /// `count` numbers of another type that begin at number `at`.
  template <class U>
  std::vector<U> values_as(Index at, Index count) {
    std::vector<U> out(static_cast<std::size_t>(count));
    if (count > 0) std::memcpy(out.data(), values().data() + at, out.size() * sizeof(U));
    return out;
  }

 private:
  Buffer<double> numbers_;
  Index count_ = 0;
  std::unique_ptr<Readback> readback_;
  Span<const double> seen_;
};

}  // namespace hso::detail
