// SPDX-License-Identifier: Apache-2.0
//
// The order that a stable radix sort gives, on the host: a byte of the keys at a time, the lowest first.
#pragma once

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso::detail {

template <class Key>
struct KeyedPlace {
  Key key;
  Index place;
};

constexpr std::size_t byte_of(auto key, std::size_t which) { return static_cast<std::size_t>(key >> 8 * which) & 0xFF; }

/// order[0..n) = the places 0..n-1 by ascending key(place), an unsigned number; equal keys by place.
template <class KeyOf>
void order_by_key(Index n, const KeyOf& key, Index* order) {
  using Key = decltype(key(Index{0}));
  std::vector<KeyedPlace<Key>> from(static_cast<std::size_t>(n)), to(from.size());
  std::array<std::array<std::size_t, 256>, sizeof(Key)> counts{};
  for (Index i = 0; i < n; ++i) {
    const Key k = key(i);
    from[static_cast<std::size_t>(i)] = {k, i};
    for (std::size_t b = 0; b < sizeof(Key); ++b) ++counts[b][byte_of(k, b)];
  }
  for (std::size_t b = 0; b < sizeof(Key); ++b) {
    if (std::find(counts[b].begin(), counts[b].end(), from.size()) != counts[b].end()) continue;  // all alike
    std::size_t first = 0;
    for (std::size_t& count : counts[b]) first += std::exchange(count, first);
    for (const KeyedPlace<Key>& one : from) to[counts[b][byte_of(one.key, b)]++] = one;
    from.swap(to);
  }
  std::transform(from.begin(), from.end(), order, [](const KeyedPlace<Key>& one) { return one.place; });
}

}  // namespace hso::detail
