// SPDX-License-Identifier: Apache-2.0
//
// The order in which a block gives up its parameters, and what each costs, for the merge over all blocks.
#pragma once

#include <algorithm>
#include <queue>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso::detail {

/// A block's removals in its own greedy order.
struct RemovalOrder {
  std::vector<Index> order;   ///< positions in the block
  std::vector<double> costs;  ///< scaled
  double dearest = 0;         ///< of them
  bool cut = false;           ///< there would have been more
  std::size_t next = 0;       ///< the first that was not offered to the merge
};

/// The merge of the blocks' orders takes removals in the order of the dearest one up to each. So nothing beyond the
/// count-th smallest of those that were seen is ever taken, and a trace can end there.
class Horizon {
 public:
  explicit Horizon(Index count) : count_(static_cast<std::size_t>(std::max<Index>(1, count))) {}
  void see(double cost) {
    if (seen_.size() == count_ && cost >= seen_.top()) return;
    seen_.push(cost);
    if (seen_.size() > count_) seen_.pop();
  }
  bool beyond(double cost) const { return seen_.size() == count_ && cost > seen_.top(); }

 private:
  std::size_t count_;
  std::priority_queue<double> seen_;  ///< the smallest `count`
};

}  // namespace hso::detail
