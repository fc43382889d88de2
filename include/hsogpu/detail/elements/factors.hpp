// SPDX-License-Identifier: Apache-2.0
//
// What Kronecker factors and exact diagonals are made of: the columns that a layer multiplies, the adjoints of its
// output beside them, and the roots of the losses' second derivatives that those adjoints start from.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// to[c][k][n][p] = x[k lane_stride + n sample_stride + c channel_stride + p position_stride]: one channel a row,
/// lanes and samples side by side. Launch with (channels * lanes * samples) x positions.
template <class T>
struct ChannelRows {
  const T* x;
  Index lane_stride, sample_stride, channel_stride, position_stride;
  T* to;
  Index lanes, samples, positions;
  HSO_HD void operator()(Index o, Index p) const {
    const Index n = o % samples, rest = o / samples, k = rest % lanes, c = rest / lanes;
    to[o * positions + p] = x[k * lane_stride + n * sample_stride + c * channel_stride + p * position_stride];
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
  HSO_HD void operator()(Index, Index i) const { y[i] = x[i] * x[i]; }
};

/// to[lane][row][i] = from[lane][row][i], rows at distances of their own: matrices cut out of theta and put back.
/// Launch with (lanes * rows) x columns.
template <class T>
struct CopyRows {
  const T* from;
  Index from_lane, from_row;
  T* to;
  Index to_lane, to_row, rows;
  HSO_HD void operator()(Index o, Index i) const {
    const Index lane = o / rows, row = o % rows;
    to[lane * to_lane + row * to_row + i] = from[lane * from_lane + row * from_row + i];
  }
};

/// Column first + k of S_n, scaled by sqrt(w_n): S_n = (I - p 1') diag(sqrt p) gives S_n S_n' = diag(p) - p p', the
/// second derivative of the cross-entropy. 1 - p_c is the sum of the others. Launch with (K N) x classes.
template <class T>
struct CrossEntropyRoot {
  const T* p;
  const T* w;
  T* dz;
  Index dz_stride, samples, classes, first;
  bool accumulate;
  HSO_HD void operator()(Index o, Index j) const {
    const Index k = o / samples, n = o % samples, c = first + k;
    const T* row = p + n * classes;
    T entry = -row[j];
    if (j == c) {
      entry = 0;
      for (Index i = 0; i < classes; ++i) entry += i == c ? T(0) : row[i];
    }
    store(&dz[k * dz_stride + n * classes + j], std::sqrt(w[n] * row[c]) * entry, accumulate);
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
  HSO_HD void operator()(Index o, Index j) const {
    const Index k = o / samples, n = o % samples, e = n * outputs + j;
    const T root = std::sqrt(w[n] * F::d2(z[e], target[e]));
    store(&dz[k * dz_stride + e], j == first + k ? root : T(0), accumulate);
  }
};

}  // namespace hso::detail
