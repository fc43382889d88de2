// SPDX-License-Identifier: Apache-2.0
//
// Which rows a step sees: one permutation an epoch, cut into batches; the last one may be short. A function of
// (seed, step) alone, so a step number is all that has to be kept to continue. The permutation sorts random keys, which
// a device does as well: NetworkObjective::shuffle gives the same.
#pragma once

#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso {

class BatchOrder {
 public:
  BatchOrder(Index rows, Index batch, std::uint64_t seed);
  Index steps_per_epoch() const { return (rows_ + batch_ - 1) / batch_; }
  Index epoch_of(Index step) const { return step / steps_per_epoch(); }
  /// Each epoch's own seed, apart from that of the split: shuffle(seed_of(epoch)) makes order_of(epoch) on the device.
  std::uint64_t seed_of(Index epoch) const;
  /// All rows in the order of an epoch. Spans live until the next call.
  Span<const Index> order_of(Index epoch);
  /// The batch of a step in the order of its epoch. Steps count from 0.
  struct Batch {
    Index first, count;
  };
  Batch batch_of(Index step) const;
  /// The same as rows.
  Span<const Index> rows_of(Index step);

 private:
  Index rows_, batch_;
  std::uint64_t seed_;
  Index epoch_ = -1;
  std::vector<Index> order_;
};

}  // namespace hso
