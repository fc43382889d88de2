// SPDX-License-Identifier: Apache-2.0
//
// What Kronecker factors and exact diagonals are made of: the columns that a layer multiplies, the adjoints of its
// output beside them, and the roots of the losses' second derivatives that those adjoints start from.
#pragma once

#include "hsogpu/detail/elements/loss.hpp"

namespace hso::detail {

/// to[c][k][n][p] = x[k lane_stride + n sample_stride + c channel_stride + p position_stride]: one channel a row,
/// lanes and samples side by side. Launch with (channels * lanes * samples) x positions.
template <class T>
struct ChannelRows {
  const T* x;
  Index lane_stride, sample_stride, channel_stride, position_stride;
  T* to;
  Index lanes, samples, positions;
  HSO_HD Radix<3> radix() const { return {{samples, lanes}}; }
  HSO_HD void operator()(const Digits<3>& at, Index p) const {
    const Index n = at[0], k = at[1], c = at[2], row = (c * lanes + k) * samples + n;
    to[row * positions + p] = x[k * lane_stride + n * sample_stride + c * channel_stride + p * position_stride];
  }
};

/// to[n][p] = sqrt(w[n]) for each of a sample's positions. Launch with samples x positions.
template <class T>
struct SampleRoots {
  const T* w;
  T* to;
  Index positions;
  HSO_HD void operator()(Index n, Index p) const { to[n * positions + p] = std::sqrt(w[n]); }
};

/// y = x^2; y may be x.
template <class T>
struct Square {
  const T* x;
  T* y;
  HSO_HD void rows(Index, const auto& use) const { use(x, out(y, false)); }
  HSO_HD void element(const T& from, T& to) const { to = from * from; }
};

/// Column first + k of S_n, scaled by sqrt(w_n): S_n = (I - p 1') diag(sqrt p) gives S_n S_n' = diag(p) - p p', the
/// second derivative of the cross-entropy. 1 - p_c is the sum of the others. A sample has `positions` such blocks of
/// columns, one for each of its rows of p; w has a number for each row. Launch with (K samples positions) x classes.
template <class T>
struct CrossEntropyRoot {
  const T* p;
  const T* w;
  T* dz;
  Index dz_stride, samples, positions, classes, first;
  bool accumulate;
  HSO_HD Radix<3> radix() const { return {{positions, samples}}; }
  HSO_HD void operator()(const Digits<3>& at, Index j) const {
    const Index n = at[1] * positions + at[0], k = at[2], c = first + k - at[0] * classes;
    const T* row = p + n * classes;
    T entry = -row[j];
    const bool here = c >= 0 && c < classes;
    if (j == c) {
      entry = 0;
      for (Index i = 0; i < classes; ++i) entry += i == c ? T(0) : row[i];
    }
    const T value = std::sqrt(w[n] * row[here ? c : 0]) * entry;
    store(&dz[k * dz_stride + n * classes + j], here ? value : T(0), accumulate);
  }
};

/// The same for a sum over outputs: S_n = diag(sqrt F''(z, t)). Launch with (K N) x outputs.
template <class T, class F>
struct OutputLossRoot {
  const T* z;
  const T* target;
  const T* w;
  T* dz;
  Index dz_stride, samples, outputs, first;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void operator()(const Digits<2>& at, Index j) const {
    const Index n = at[0], k = at[1], e = n * outputs + j;
    const T root = std::sqrt(w[n] * F::d2(z[e], target[e]));
    store(&dz[k * dz_stride + e], j == first + k ? root : T(0), accumulate);
  }
};

template <class T>
using FactorsOps =
    Types<ChannelRows<T>, SampleRoots<T>, Square<T>, CrossEntropyRoot<T>, OutputLossRoot<T, SquaredError>,
          OutputLossRoot<T, LogisticLoss>, OutputLossRoot<T, HuberLoss>>;

}  // namespace hso::detail
