// SPDX-License-Identifier: Apache-2.0
//
// Products of a linear layer with unit vectors: when lane k of RW is the unit vector at position *first + k
// (o_k = position / in, i_k = position % in), two of its matrix products are gathers. `first` is in device memory.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// Ry[k][n][o] (+)= [o == o_k] x[n][i_k]. Launch with (K N) x out.
template <class T>
struct UnitWeightJvp {
  const T* x;
  T* ry;
  Index ry_stride;
  const Index* first;
  Index rows, in, out;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{rows}}; }  // n, k
  HSO_HD void operator()(const Digits<2>& at, Index o) const {
    const Index n = at[0], k = at[1], position = *first + k, o_k = axis_divide(position, in);
    const T value = x[n * in + position - o_k * in];
    store(&ry[k * ry_stride + n * out + o], o == o_k ? value : T(0), accumulate);
  }
};

/// Rdx[k][n][i] (+)= [i == i_k] dy[n][o_k]. Launch with (K N) x in.
template <class T>
struct UnitWeightCross {
  const T* dy;
  T* rdx;
  Index rdx_stride;
  const Index* first;
  Index rows, in, out;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{rows}}; }  // n, k
  HSO_HD void operator()(const Digits<2>& at, Index i) const {
    const Index n = at[0], k = at[1], position = *first + k, o_k = axis_divide(position, in);
    const T value = dy[n * out + o_k];
    store(&rdx[k * rdx_stride + n * in + i], i == position - o_k * in ? value : T(0), accumulate);
  }
};

template <class T>
using LinearOps = Types<UnitWeightJvp<T>, UnitWeightCross<T>>;

}  // namespace hso::detail
