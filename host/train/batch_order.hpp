// SPDX-License-Identifier: Apache-2.0
//
// Which rows a step sees: one permutation an epoch, cut into batches; the last one may be short. A function of
// (seed, step) alone, so a step number is all that has to be kept to continue.
#pragma once

#include <vector>

#include "hsogpu/types.hpp"

namespace hso {

class BatchOrder {
 public:
  BatchOrder(Index rows, Index batch, std::uint64_t seed);
  Index steps_per_epoch() const { return (rows_ + batch_ - 1) / batch_; }
  /// Steps count from 0. The span lives until the next call.
  Span<const Index> rows_of(Index step);

 private:
  Index rows_, batch_;
  std::uint64_t seed_;
  Index epoch_ = -1;
  std::vector<Index> order_;
};

}  // namespace hso
