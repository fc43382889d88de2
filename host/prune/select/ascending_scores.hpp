// SPDX-License-Identifier: Apache-2.0
//
// Parameters in ascending order of their scores. Scores and order stay on the device; the host reads the order from its
// beginning, a piece at a time, and seldom more than it removes.
#pragma once

#include <optional>

#include "hsogpu/prune/surgeon.hpp"

namespace hso::detail {

class AscendingScores {
 public:
  /// Of the parameters with a flag in `removable`; `scores` outlives this. About `wanted` of them will be asked for.
  AscendingScores(Context& context, const Buffer<double>& scores, const std::vector<std::uint8_t>& removable,
                  Index wanted);
  /// The next parameter and its score, of equal scores the first; none at the end.
  std::optional<Removal> next();

 private:
  void read_piece();

  Context& context_;
  const Buffer<double>& scores_;
  Buffer<Index> at_, order_;  ///< the removable parameters, and their places in ascending order
  Index first_ = 0;           ///< of the next piece
  Buffer<double> piece_scores_;
  Buffer<Index> piece_parameters_;
  std::vector<Removal> piece_;
  std::size_t given_ = 0;  ///< of the piece
};

}  // namespace hso::detail
