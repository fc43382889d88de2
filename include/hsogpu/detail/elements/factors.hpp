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

/// m[k][o][i] = weight[k][o][i] for i < inputs and bias[k][o] after it. Launch with (lanes * outputs) x columns, where
/// columns is inputs, or inputs + 1 with a bias.
template <class T>
struct JoinBias {
  const T* theta;
  Index lane_stride, weight, bias;  ///< offsets in theta
  T* m;
  Index outputs, inputs, columns;
  HSO_HD void operator()(Index r, Index i) const {
    const Index o = r % outputs;
    const T* lane = theta + (r / outputs) * lane_stride;
    m[r * columns + i] = lane[i < inputs ? weight + o * inputs + i : bias + o];
  }
};

/// The way back.
template <class T>
struct SplitBias {
  const T* m;
  T* theta;
  Index lane_stride, weight, bias;
  Index outputs, inputs, columns;
  HSO_HD void operator()(Index r, Index i) const {
    const Index o = r % outputs;
    T* lane = theta + (r / outputs) * lane_stride;
    lane[i < inputs ? weight + o * inputs + i : bias + o] = m[r * columns + i];
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
    T others = 0;
    for (Index i = 0; i < classes; ++i) others += i == c ? T(0) : row[i];
    const T entry = j == c ? others : -row[j];
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
