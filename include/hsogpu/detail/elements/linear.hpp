// SPDX-License-Identifier: Apache-2.0
//
// Products of a linear layer with unit vectors: when lane k of RW is the unit vector at position first + k
// (o_k = position / in, i_k = position % in), two of its matrix products are gathers.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// Ry[k][n][o] (+)= [o == o_k] x[n][i_k]. Launch with (K N) x out.
template <class T>
struct UnitWeightJvp {
  const T* x;
  T* ry;
  Index ry_stride, first, rows, in, out;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{rows, in}}; }  // n, i_k, o_k
  HSO_HD Index first_row() const { return first * rows; }
  HSO_HD void operator()(const Digits<3>& at, Index o) const {
    const Index n = at[0], k = at[2] * in + at[1] - first;
    const T value = x[n * in + at[1]];
    store(&ry[k * ry_stride + n * out + o], o == at[2] ? value : T(0), accumulate);
  }
};

/// Rdx[k][n][i] (+)= [i == i_k] dy[n][o_k]. Launch with (K N) x in.
template <class T>
struct UnitWeightCross {
  const T* dy;
  T* rdx;
  Index rdx_stride, first, rows, in, out;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{rows, in}}; }  // n, i_k, o_k
  HSO_HD Index first_row() const { return first * rows; }
  HSO_HD void operator()(const Digits<3>& at, Index i) const {
    const Index n = at[0], k = at[2] * in + at[1] - first;
    const T value = dy[n * out + at[2]];
    store(&rdx[k * rdx_stride + n * in + i], i == at[1] ? value : T(0), accumulate);
  }
};

}  // namespace hso::detail
