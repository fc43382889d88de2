// SPDX-License-Identifier: Apache-2.0
//
// Element functors: what one element does, in one place for both backends. Each is trivially copyable and has
// `operator()(Index o, Index i) const`: o is the outer index (a lane, or a row of a lane), i runs along memory. Where
// rows have coordinates the operator takes them in place of o (digits.hpp); where every operand runs along memory the
// functor states its operands and a formula instead (operands.hpp).
// Load everything, compute, store: a load inside a branch keeps the host's loop from vectorising.
// `accumulate` false overwrites the destination without reading it.
// Each family lists its functors at its end; element_ops.hpp joins the lists.
#pragma once

#include <cstdint>

#include "hsogpu/core/types.hpp"
#include "hsogpu/detail/elements/operands.hpp"
#include "hsogpu/detail/hd.hpp"
#include "hsogpu/detail/math.hpp"
#include "hsogpu/detail/type_list.hpp"

namespace hso::detail {

/// A constant of an elementary function in both precisions, rounded once on the host: no kernel in float converts a
/// double for every element.
class FunctionConstant {
 public:
  constexpr FunctionConstant(double value) : double_(value), float_(static_cast<float>(value)) {}
  HSO_HD explicit operator double() const { return double_; }
  HSO_HD explicit operator float() const { return float_; }

 private:
  double double_;
  float float_;
};

template <class T>
HSO_HD inline void store(T* destination, T value, bool accumulate) {
  const T old = accumulate ? *destination : T(0);
  *destination = old + value;
}

/// A sum of which one part may be missing: `second` is used only where `split` says so, and must be readable anyway.
template <class T>
HSO_HD inline T sum_of_parts(T first, T second, bool split) {
  return split ? first + second : first;
}

/// a / step towards zero. Extents of one axis fit 32 bits, whose division is several times faster on both sides.
HSO_HD inline Index axis_divide(Index a, Index step) {
  return step == 1 ? a : static_cast<std::int32_t>(a) / static_cast<std::int32_t>(step);
}

/// For the scalars of iterative solvers.
HSO_HD inline bool is_finite(double x) { return x - x == 0; }

/// Enumerators as numbers of device memory.
template <class Enum>
HSO_HD constexpr double code_of(Enum e) {
  return static_cast<double>(static_cast<int>(e));
}

}  // namespace hso::detail
