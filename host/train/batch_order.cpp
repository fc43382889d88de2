// SPDX-License-Identifier: Apache-2.0
#include "train/batch_order.hpp"

#include <algorithm>

#include "backend/order_by_key.hpp"
#include "hsogpu/detail/elements/order.hpp"

namespace hso {
namespace {

constexpr std::uint64_t kEpochStream = 0x65706f6368730000;  // "epochs"

}  // namespace

BatchOrder::BatchOrder(Index rows, Index batch, std::uint64_t seed)
    : rows_(rows), batch_(std::clamp<Index>(batch, 1, rows)), seed_(seed) {}

std::uint64_t BatchOrder::seed_of(Index epoch) const {
  const detail::Philox4 block = detail::philox(seed_, kEpochStream, static_cast<std::uint64_t>(epoch));
  return static_cast<std::uint64_t>(block.v[1]) << 32 | block.v[0];
}

Span<const Index> BatchOrder::order_of(Index epoch) {
  if (epoch != epoch_) {
    order_.resize(static_cast<std::size_t>(rows_));
    const std::uint64_t seed = seed_of(epoch);
    detail::order_by_key(
        rows_, [seed](Index i) { return detail::permutation_key(seed, i); }, order_.data());
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
