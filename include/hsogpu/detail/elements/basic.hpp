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
  HSO_HD void rows(Index o, const auto& use) const { use(out(x + o * stride, false)); }
  HSO_HD void element(T& to) const { to = value; }
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
  HSO_HD void rows(Index o, const auto& use) const { use(x + o * x_stride, out(y + o * y_stride, b != T(0))); }
  HSO_HD void element(const T& from, T& to) const {
    const T scaled = b == T(0) ? T(0) : b * to;
    to = a * from + scaled;
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
  HSO_HD void rows(Index o, const auto& use) const {
    use(same(a + o), x + o * x_stride, same(b + o), out(y + o * y_stride, true));
  }
  HSO_HD void element(const T& ao, const T& from, const T& bo, T& to) const {
    const T scaled = bo == T(0) ? T(0) : bo * to;
    const T added = ao == T(0) ? T(0) : ao * from;
    to = added + scaled;
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
  HSO_HD void rows(Index o, const auto& use) const {
    use(same(factors + o), w + o * w_stride, same(factors + lanes + o), u + o * u_stride, same(factors + 2 * lanes + o),
        out(y + o * y_stride, true));
  }
  HSO_HD void element(const T& a, const T& wi, const T& b, const T& ui, const T& c, T& to) const {
    const T last = c == T(0) ? T(0) : c * to;
    const T middle = b == T(0) ? T(0) : b * ui;
    const T first = a == T(0) ? T(0) : a * wi;
    to = first + middle + last;
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
  HSO_HD void rows(Index o, const auto& use) const { use(d, x + o * x_stride, out(y + o * y_stride, accumulate)); }
  HSO_HD void element(const T& factor, const T& from, T& to) const { store(&to, factor * from, accumulate); }
};

/// y[lane][row][i] (+)= b[lane][i]. Launch with (lanes * lane_rows) x cols.
template <class T>
struct AddToRows {
  const T* b;
  Index b_stride;
  T* y;
  Index y_stride, lane_rows, cols;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{lane_rows}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    use(b + at[1] * b_stride, out(y + at[1] * y_stride + at[0] * cols, accumulate));
  }
  HSO_HD void element(const T& from, T& to) const { store(&to, from, accumulate); }
};

/// y[lane][row][i] (+)= b[lane][row]. Launch with (lanes * lane_rows) x cols.
template <class T>
struct AddToColumns {
  const T* b;
  Index b_stride;
  T* y;
  Index y_stride, lane_rows, cols;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{lane_rows}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    use(same(b + at[1] * b_stride + at[0]), out(y + at[1] * y_stride + at[0] * cols, accumulate));
  }
  HSO_HD void element(const T& from, T& to) const { store(&to, from, accumulate); }
};

/// to[lane][row][i] (+)= from[lane][row][i], rows at distances of their own: parts cut out of tensors and put back.
/// Launch with (lanes * lane_rows) x cols.
template <class T>
struct CopyRows {
  const T* from;
  Index from_lane, from_row;
  T* to;
  Index to_lane, to_row, lane_rows;
  bool accumulate = false;
  HSO_HD Radix<2> radix() const { return {{lane_rows}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    use(from + at[1] * from_lane + at[0] * from_row, out(to + at[1] * to_lane + at[0] * to_row, accumulate));
  }
  HSO_HD void element(const T& value, T& copy) const { store(&copy, value, accumulate); }
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
  HSO_HD void rows(Index, const auto& use) const { use(x, out(y, false)); }
  HSO_HD void element(const T& from, T& to) const {
    const T value = from, size = value < T(0) ? -value : value;
    to = size > cutoff ? scale / value : T(0);
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
  HSO_HD void rows(Index o, const auto& use) const { use(same(d + o), x + o * cols, out(y + o * cols, false)); }
  HSO_HD void element(const T& factor, const T& from, T& to) const { to = factor * from; }
};

/// to[o][i] = from[o][i] with another element type.
template <class T, class From>
struct Convert {
  const From* from;
  T* to;
  HSO_HD void rows(Index, const auto& use) const { use(from, out(to, false)); }
  HSO_HD void element(const From& value, T& converted) const { converted = static_cast<T>(value); }
};

template <class T>
using BasicOps = Types<Fill<T>, Axpby<T>, LaneAxpby<T>, LaneRecurrence<T>, GatherEntries<T>, ScatterEntries<T>,
                       Scale<T>, AddToRows<T>, AddToColumns<T>, GatherRows<T>, UnitVectors<T>, SetIndex<T>,
                       Symmetrize<T>, MirrorLower<T>, TransposeBlock<T>, AddDiagonal<T>, ScaleRows<T>,
                       Convert<T, float>, Convert<T, double>, Reciprocal<T>, CopyRows<T>>;

}  // namespace hso::detail
