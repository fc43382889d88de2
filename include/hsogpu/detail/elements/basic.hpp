// SPDX-License-Identifier: Apache-2.0
//
// Copies, sums, broadcasts, small matrix edits.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// x[o][i] = value
template <class T>
struct Fill {
  T* x;
  Index stride;
  T value;
  HSO_HD void operator()(Index o, Index i) const { x[o * stride + i] = value; }
};

/// y[o][i] = a x[o][i] + b y[o][i]; b = 0 never reads y. A zero stride of x broadcasts.
template <class T>
struct Axpby {
  T a;
  const T* x;
  Index x_stride;
  T b;
  T* y;
  Index y_stride;
  HSO_HD void operator()(Index o, Index i) const {
    T& target = y[o * y_stride + i];
    const T scaled = b == T(0) ? T(0) : b * target;
    target = a * x[o * x_stride + i] + scaled;
  }
};

/// y[o][i] = a[o] x[o][i] + b[o] y[o][i], one pair of factors a lane; a factor 0 never uses what it multiplies.
template <class T>
struct LaneAxpby {
  const T* a;
  const T* x;
  Index x_stride;
  const T* b;
  T* y;
  Index y_stride;
  HSO_HD void operator()(Index o, Index i) const {
    T& target = y[o * y_stride + i];
    const T scaled = b[o] == T(0) ? T(0) : b[o] * target;
    const T added = a[o] == T(0) ? T(0) : a[o] * x[o * x_stride + i];
    target = added + scaled;
  }
};

/// y[o][i] = a[o] w[o][i] + b[o] u[o][i] + c[o] y[o][i], factors [3][lanes]; a factor 0 never uses what it multiplies.
template <class T>
struct LaneRecurrence {
  const T* factors;
  Index lanes;
  const T* w;
  Index w_stride;
  const T* u;
  Index u_stride;
  T* y;
  Index y_stride;
  HSO_HD void operator()(Index o, Index i) const {
    const T a = factors[o], b = factors[lanes + o], c = factors[2 * lanes + o];
    T& target = y[o * y_stride + i];
    const T last = c == T(0) ? T(0) : c * target;
    const T middle = b == T(0) ? T(0) : b * u[o * u_stride + i];
    const T first = a == T(0) ? T(0) : a * w[o * w_stride + i];
    target = first + middle + last;
  }
};

/// y[o][i] = x[o][index[i]]
template <class T>
struct GatherEntries {
  const T* x;
  Index x_stride;
  const Index* index;
  T* y;
  Index y_stride;
  HSO_HD void operator()(Index o, Index i) const { y[o * y_stride + i] = x[o * x_stride + index[i]]; }
};

/// y[o][index[i]] = x[o][i]; the indices differ.
template <class T>
struct ScatterEntries {
  const T* x;
  Index x_stride;
  const Index* index;
  T* y;
  Index y_stride;
  HSO_HD void operator()(Index o, Index i) const { y[o * y_stride + index[i]] = x[o * x_stride + i]; }
};

/// y[o][i] (+)= d[i] x[o][i]: the same diagonal for every lane.
template <class T>
struct Scale {
  const T* d;
  const T* x;
  Index x_stride;
  T* y;
  Index y_stride;
  bool accumulate;
  HSO_HD void operator()(Index o, Index i) const {
    store(&y[o * y_stride + i], d[i] * x[o * x_stride + i], accumulate);
  }
};

/// y[lane][row][i] (+)= b[lane][i], o = lane * rows + row.
template <class T>
struct AddToRows {
  const T* b;
  Index b_stride;
  T* y;
  Index y_stride, rows, cols;
  bool accumulate;
  HSO_HD void operator()(Index o, Index i) const {
    const Index lane = o / rows, row = o % rows;
    store(&y[lane * y_stride + row * cols + i], b[lane * b_stride + i], accumulate);
  }
};

/// y[lane][row][i] (+)= b[lane][row], o = lane * rows + row.
template <class T>
struct AddToColumns {
  const T* b;
  Index b_stride;
  T* y;
  Index y_stride, rows, cols;
  bool accumulate;
  HSO_HD void operator()(Index o, Index i) const {
    const Index lane = o / rows, row = o % rows;
    store(&y[lane * y_stride + row * cols + i], b[lane * b_stride + row], accumulate);
  }
};

/// y[o][:] = x[index[o]][:]
template <class T>
struct GatherRows {
  const T* x;
  const Index* index;
  T* y;
  Index cols;
  HSO_HD void operator()(Index o, Index i) const { y[o * cols + i] = x[index[o] * cols + i]; }
};

/// v[o][i] = 1 where i == first + o, else 0.
template <class T>
struct UnitVectors {
  T* v;
  Index stride, first;
  HSO_HD void operator()(Index o, Index i) const { v[o * stride + i] = i == first + o ? T(1) : T(0); }
};

/// *at = value. Launch with 1 x 1.
template <class T>
struct SetIndex {
  Index* at;
  Index value;
  HSO_HD void operator()(Index, Index) const { *at = value; }
};

/// A[o][i] and A[i][o] := their mean, for i < o. Launch with n x n.
template <class T>
struct Symmetrize {
  T* a;
  Index n;
  HSO_HD void operator()(Index o, Index i) const {
    if (i >= o) return;
    const T mean = T(0.5) * a[o * n + i] + T(0.5) * a[i * n + o];
    a[o * n + i] = mean;
    a[i * n + o] = mean;
  }
};

/// A[i][o] := A[o][i] for i < o: the lower triangle decides. Launch with n x n.
template <class T>
struct MirrorLower {
  T* a;
  Index n;
  HSO_HD void operator()(Index o, Index i) const {
    if (i < o) a[i * n + o] = a[o * n + i];
  }
};

/// y[i][o] = x[o][i], leading dimensions x_ld and y_ld.
template <class T>
struct TransposeBlock {
  const T* x;
  Index x_ld;
  T* y;
  Index y_ld;
  HSO_HD void operator()(Index o, Index i) const { y[i * y_ld + o] = x[o * x_ld + i]; }
};

/// y[i] = scale / x[i], and 0 where |x[i]| <= cutoff. Launch with 1 x n.
template <class T>
struct Reciprocal {
  const T* x;
  T* y;
  T cutoff, scale;
  HSO_HD void operator()(Index, Index i) const {
    const T value = x[i], size = value < T(0) ? -value : value;
    y[i] = size > cutoff ? scale / value : T(0);
  }
};

/// A[i][i] += value. Launch with 1 x n.
template <class T>
struct AddDiagonal {
  T* a;
  Index n;
  T value;
  HSO_HD void operator()(Index, Index i) const { a[i * n + i] += value; }
};

/// y[o][i] = d[o] x[o][i]
template <class T>
struct ScaleRows {
  const T* d;
  const T* x;
  T* y;
  Index cols;
  HSO_HD void operator()(Index o, Index i) const { y[o * cols + i] = d[o] * x[o * cols + i]; }
};

/// to[o][i] = from[o][i] with another element type.
template <class T, class From>
struct Convert {
  const From* from;
  T* to;
  HSO_HD void operator()(Index, Index i) const { to[i] = static_cast<T>(from[i]); }
};

}  // namespace hso::detail
