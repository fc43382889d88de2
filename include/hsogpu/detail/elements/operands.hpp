// SPDX-License-Identifier: Apache-2.0
//
// Operands of pointwise functors: element i of every row operand gives element i of every result. Such a functor has
// instead of a call operator
//
//   rows(at, use)   calls use(operand, ...) with its operands in row `at`
//   element(...)    the formula, on one element of each operand in that order
//
// so that the host runs it element by element and the device on several elements that it loads at once. An operand is
// a pointer into a row (read only), out(pointer, ...) or same(pointer). Addresses of rows must be linear in the row
// number, or in each of its coordinates: alignment is checked on the first rows alone (cuda/element_kernels.cuh).
#pragma once

#include "hsogpu/detail/elements/digits.hpp"

namespace hso::detail {

/// A row that is written. `old_used`: whether element() may use what was there; a constant false spares the load.
template <class T>
struct Out {
  T* row;
  bool old_used;
  HSO_HD T& operator[](Index i) const { return row[i]; }
};
template <class T>
HSO_HD inline Out<T> out(T* row, bool old_used) {
  return {row, old_used};
}

/// One number for the whole row.
template <class T>
struct Same {
  const T* value;
  HSO_HD const T& operator[](Index) const { return *value; }
};
template <class T>
HSO_HD inline Same<T> same(const T* value) {
  return {value};
}

struct AnyUse {
  HSO_HD void operator()(const auto&...) const {}
};

template <class F>
concept HasOperands = requires(const F& f) {
  f.rows(row_at(f, 0), AnyUse{});
};

/// False for F with kPacks = false: its arithmetic outlasts the memory, so a device gains nothing from packs.
template <class F>
constexpr bool packs_pay() {
  if constexpr (requires { F::kPacks; })
    return F::kPacks;
  else
    return true;
}

/// Element i of row `at`: of any functor.
template <class F, class At>
HSO_HD inline void run_element(const F& f, const At& at, Index i) {
  if constexpr (HasOperands<F>)
    f.rows(at, [&](const auto&... operand) { f.element(operand[i]...); });
  else
    f(at, i);
}

}  // namespace hso::detail
