// SPDX-License-Identifier: Apache-2.0
//
// Masks of parameters, a byte each: 0 removed, else kept; and the subgradient of |x|_1.
#pragma once

#include <cstdint>

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// y[o][i] = kept[i] ? x[o][i] : +0, whatever x[o][i] is. x and y may be the same.
template <class T>
struct Keep {
  const std::uint8_t* kept;
  const T* x;
  Index x_stride;
  T* y;
  Index y_stride;
  HSO_HD void rows(Index o, const auto& use) const { use(kept, x + o * x_stride, out(y + o * y_stride, false)); }
  HSO_HD void element(const std::uint8_t& stays, const T& from, T& to) const {
    const T value = from;
    to = stays != 0 ? value : T(0);
  }
};

/// A[o][i] = kept[o] && kept[i] ? A[o][i] : +0. Launch with n x n.
template <class T>
struct KeepBlock {
  const std::uint8_t* kept;
  T* a;
  Index n;
  HSO_HD void operator()(Index o, Index i) const {
    const T value = a[o * n + i];
    a[o * n + i] = kept[o] != 0 && kept[i] != 0 ? value : T(0);
  }
};

/// y[i] (+)= a sign(x[i]), sign(0) = 0; NaN for NaN. Launch with 1 x n.
template <class T>
struct Signs {
  T a;
  const T* x;
  T* y;
  bool accumulate;
  HSO_HD void rows(Index, const auto& use) const { use(x, out(y, accumulate)); }
  HSO_HD void element(const T& value, T& to) const {
    const T one = value > T(0) ? a : -a;
    store(&to, value == T(0) ? T(0) : value != value ? value : one, accumulate);
  }
};

template <class T>
using MaskOps = Types<Keep<T>, KeepBlock<T>, Signs<T>>;

}  // namespace hso::detail
