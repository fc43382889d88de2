// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

/// Inner products x'y of pairs of n numbers that arrive together: one wait, or none when the host waited for something
/// else since they were queued.
template <class T>
class QueuedDots {
 public:
  explicit QueuedDots(Context& context) : results_(context, kMost), readback_(context.make_readback(kMost)) {}

  template <std::size_t kCount>
  void queue(Ops<T>& ops, Index n, const std::pair<const T*, const T*> (&pairs)[kCount]) {
    static_assert(kCount <= kMost);
    for (std::size_t i = 0; i < kCount; ++i)
      ops.dots_on_device(1, n, pairs[i].first, n, pairs[i].second, n, results_.data() + i);
    readback_->post(results_.data(), kCount);
  }
  Span<const double> values() { return readback_->values(); }

 private:
  static constexpr Index kMost = 4;
  Buffer<double> results_;
  std::unique_ptr<Readback> readback_;
};

}  // namespace hso::detail
