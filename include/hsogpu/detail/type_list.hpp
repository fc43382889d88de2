// SPDX-License-Identifier: Apache-2.0
//
// Lists of types, for tables that are complete at compile time.
#pragma once

#include <type_traits>

namespace hso::detail {

/// A list of types; naming it instantiates none of them.
template <class... F>
struct Types {
  static constexpr int kCount = sizeof...(F);
};

template <class... Lists>
struct Joined;
template <class... A>
struct Joined<Types<A...>> {
  using type = Types<A...>;
};
template <class... A, class... B, class... Rest>
struct Joined<Types<A...>, Types<B...>, Rest...> {
  using type = typename Joined<Types<A..., B...>, Rest...>::type;
};

/// The place of F in a list, its length where it is not there.
template <class F, class List>
inline constexpr int place_in = 0;
template <class F, class... A>
inline constexpr int place_in<F, Types<A...>> = [] {
  constexpr bool same[] = {std::is_same_v<F, A>...};
  int place = 0;
  while (place < static_cast<int>(sizeof...(A)) && !same[place]) ++place;
  return place;
}();

}  // namespace hso::detail
