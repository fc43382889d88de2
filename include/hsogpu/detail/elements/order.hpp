// SPDX-License-Identifier: Apache-2.0
//
// What sorting and selecting need: keys whose unsigned order is the order that is wanted, beside the places they belong
// to. A stable sort of (key, place) pairs orders equal keys by place.
#pragma once

#include <cstdint>
#include <type_traits>

#include "hsogpu/detail/elements/common.hpp"
#include "hsogpu/detail/philox.hpp"

namespace hso::detail {

template <class T>
using SortKey = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// An unsigned number that orders like x, -0 as +0 and NaN of either sign on top.
template <class T>
HSO_HD inline SortKey<T> sort_key(T x) {
  using Key = SortKey<T>;
  constexpr Key kSign = Key{1} << (8 * sizeof(Key) - 1);
  if (x != x) return static_cast<Key>(~Key{0});
  const Key bits = bits_as<Key>(x == T(0) ? T(0) : x);
  return (bits & kSign) != 0 ? static_cast<Key>(~bits) : static_cast<Key>(bits | kSign);
}

/// The random key of place i: sorted by it, the places are a permutation that depends on the seed alone.
HSO_HD inline std::uint64_t permutation_key(std::uint64_t seed, Index i) {
  constexpr std::uint64_t kStream = 0x7065726d75746564;  // "permuted"
  const Philox4 block = philox(seed, kStream, static_cast<std::uint64_t>(i));
  return static_cast<std::uint64_t>(block.v[1]) << 32 | block.v[0];
}

/// keys[i] = sort_key(x[i]), places[i] = i. Launch with 1 x n.
template <class T>
struct SortKeys {
  const T* x;
  SortKey<T>* keys;
  Index* places;
  HSO_HD void operator()(Index, Index i) const {
    keys[i] = sort_key(x[i]);
    places[i] = i;
  }
};

/// keys[i] = permutation_key(seed, i), places[i] = i. Launch with 1 x n.
template <class T>
struct PermutationKeys {
  std::uint64_t seed;
  std::uint64_t* keys;
  Index* places;
  HSO_HD void operator()(Index, Index i) const {
    keys[i] = permutation_key(seed, i);
    places[i] = i;
  }
};

/// places[i] = i. Launch with 1 x n.
template <class T>
struct Places {
  Index* places;
  HSO_HD void operator()(Index, Index i) const { places[i] = i; }
};

/// Entries of x at at[order[i]], and these places: a part of a subset of x in the subset's own order.
template <class T>
struct OrderedEntries {
  const T* x;
  const Index* at;
  const Index* order;
  T* values;
  Index* places;
  HSO_HD void operator()(Index, Index i) const {
    const Index place = at[order[i]];
    values[i] = x[place];
    places[i] = place;
  }
};

template <class T>
using OrderOps = Types<SortKeys<T>, PermutationKeys<T>, Places<T>, OrderedEntries<T>>;

}  // namespace hso::detail
