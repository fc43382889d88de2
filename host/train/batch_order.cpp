// SPDX-License-Identifier: Apache-2.0
#include "train/batch_order.hpp"

#include <algorithm>

#include "hsogpu/data.hpp"
#include "hsogpu/detail/philox.hpp"

namespace hso {
namespace {

constexpr std::uint64_t kEpochStream = 0x65706f6368730000;  // "epochs"

/// Each epoch's own seed, apart from that of the split.
std::uint64_t epoch_seed(std::uint64_t seed, Index epoch) {
  const detail::Philox4 block = detail::philox(seed, kEpochStream, static_cast<std::uint64_t>(epoch));
  return static_cast<std::uint64_t>(block.v[1]) << 32 | block.v[0];
}

}  // namespace

BatchOrder::BatchOrder(Index rows, Index batch, std::uint64_t seed)
    : rows_(rows), batch_(std::clamp<Index>(batch, 1, rows)), seed_(seed) {}

Span<const Index> BatchOrder::order_of(Index epoch) {
  if (epoch != epoch_) {
    order_ = shuffled_indices(rows_, epoch_seed(seed_, epoch));
    epoch_ = epoch;
  }
  return order_;
}

BatchOrder::Batch BatchOrder::batch_of(Index step) const {
  const Index first = step % steps_per_epoch() * batch_;
  return {first, std::min(batch_, rows_ - first)};
}

Span<const Index> BatchOrder::rows_of(Index step) {
  const auto [first, count] = batch_of(step);
  return order_of(epoch_of(step)).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
}

}  // namespace hso
