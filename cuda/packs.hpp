// SPDX-License-Identifier: Apache-2.0
//
// Pointwise functors on packs: N elements that are consecutive in memory and move in accesses of 16 bytes.
#pragma once

#include <cstdint>
#include <utility>

#include "hsogpu/detail/elements/operands.hpp"

namespace hso::detail {

template <class T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Pack {
  T v[N];
};

template <int N, class T>
bool is_aligned(const T* row) {
  return reinterpret_cast<std::uintptr_t>(row) % alignof(Pack<T, N>) == 0;
}
template <int N, class T>
bool is_aligned(const Out<T>& to) {
  return is_aligned<N, T>(to.row);
}
template <int N, class T>
bool is_aligned(const Same<T>&) {
  return true;
}

/// Whether every row of the operands starts where a pack may start. Row addresses are linear in each coordinate, so the
/// first row and the first ones that differ from it in one coordinate show it.
template <int N, class F>
bool rows_are_aligned(const F& f, Index outer) {
  bool aligned = true;
  const auto look_at = [&](Index o) {
    f.rows(row_at(f, o), [&](const auto&... operand) { aligned = aligned && (is_aligned<N>(operand) && ...); });
  };
  look_at(0);
  Index step = 1;
  if (outer > 1) look_at(1);
  if constexpr (SplitsRows<F>)
    for (Index extent : f.radix().extent)
      if ((step *= extent) < outer) look_at(step);
  return aligned;
}

/// An operand with N of its elements in registers.
template <class T, int N>
struct StagedIn {
  Pack<T, N> pack;
  HSO_HD const T& operator[](int k) const { return pack.v[k]; }
  HSO_HD void store() const {}
};
template <class T, int N>
struct StagedOut {
  Pack<T, N>* to;
  Pack<T, N> pack;
  HSO_HD T& operator[](int k) { return pack.v[k]; }
  HSO_HD void store() const { *to = pack; }
};
template <class T>
struct StagedSame {
  T value;
  HSO_HD const T& operator[](int) const { return value; }
  HSO_HD void store() const {}
};

template <int N, class T>
HSO_HD inline StagedIn<T, N> stage(const T* row, Index i) {
  return {*reinterpret_cast<const Pack<T, N>*>(row + i)};
}
template <int N, class T>
HSO_HD inline StagedOut<T, N> stage(const Out<T>& to, Index i) {
  auto* pack = reinterpret_cast<Pack<T, N>*>(to.row + i);
  return {pack, to.old_used ? *pack : Pack<T, N>{}};
}
template <int N, class T>
HSO_HD inline StagedSame<T> stage(const Same<T>& one, Index) {
  return {*one.value};
}

template <class F, class... Staged>
HSO_HD inline void run_staged_element(const F& f, int k, Staged&... staged) {
  f.element(staged[k]...);
}

template <class F, int... K, class... Staged>
HSO_HD inline void run_staged(const F& f, std::integer_sequence<int, K...>, Staged... staged) {
  (run_staged_element(f, K, staged...), ...);
  (staged.store(), ...);
}

/// Elements [i, i + N) of row `at`. Everything is read before anything is written, so operands may be the same memory.
template <int N, class F, class At>
HSO_HD inline void run_pack(const F& f, const At& at, Index i) {
  f.rows(at,
         [&](const auto&... operand) { run_staged(f, std::make_integer_sequence<int, N>{}, stage<N>(operand, i)...); });
}

}  // namespace hso::detail
