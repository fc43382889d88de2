// SPDX-License-Identifier: Apache-2.0
//
// What networks over tokens and attention need beside products of matrices: rows looked up in a table and their
// adjoints summed by token, exchanged axes, softmax.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// A token as a row of a table of `count` rows. Numbers beyond it are an error of the data, which is checked elsewhere;
/// here they only must not reach other memory.
template <class T>
HSO_HD inline Index token_row(T token, Index count) {
  const auto row = static_cast<Index>(token);
  return row < 0 ? 0 : row < count ? row : count - 1;
}

/// y[lane][r][i] (+)= table[lane][token[r]][i]. Launch with (lanes * rows) x cols.
template <class T>
struct LookUpRows {
  const T* token;
  const T* table;
  Index table_stride;
  T* y;
  Index y_stride, lane_rows, cols, count;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{lane_rows}}; }
  // Not as operands: the place of a row is data, which a launch cannot look at.
  HSO_HD void operator()(const Digits<2>& at, Index i) const {
    const T* row = table + at[1] * table_stride + token_row(token[at[0]], count) * cols;
    store(&y[at[1] * y_stride + at[0] * cols + i], row[i], accumulate);
  }
};

/// start[v] = how many tokens are below v, for tokens in the order `order`, which sorts them. Launch with 1 x (count +
/// 1).
template <class T>
struct TokenStarts {
  const T* token;
  const Index* order;
  Index* start;
  Index rows, count;
  HSO_HD void operator()(Index, Index v) const {
    Index low = 0, high = rows;
    while (low < high) {
      const Index middle = low + (high - low) / 2;
      if (token_row(token[order[middle]], count) < v)
        low = middle + 1;
      else
        high = middle;
    }
    start[v] = low;
  }
};

/// table[lane][v][i] (+)= the sum of y[lane][r][i] over the rows r with token v, in their order. Launch with (lanes *
/// count) x cols.
template <class T>
struct SumByToken {
  const T* y;
  Index y_stride;
  const Index* order;
  const Index* start;
  T* table;
  Index table_stride, count, cols;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{count}}; }
  HSO_HD void operator()(const Digits<2>& at, Index i) const {
    const Index v = at[0], lane = at[1];
    T sum = 0;
    for (Index r = start[v]; r < start[v + 1]; ++r) sum += y[lane * y_stride + order[r] * cols + i];
    store(&table[lane * table_stride + v * cols + i], sum, accumulate);
  }
};

/// y[r][v] = 1 where v is the token of row r, else 0. Launch with rows x count.
template <class T>
struct OneHotRows {
  const T* token;
  T* y;
  Index count;
  HSO_HD void operator()(Index r, Index v) const { y[r * count + v] = token_row(token[r], count) == v ? T(1) : T(0); }
};

/// The transpose: y[v][n][i] for step i of sample n. Without tokens a step is its own number. Launch with (count *
/// samples) x steps.
template <class T>
struct OneHotColumns {
  const T* token;
  T* y;
  Index samples, steps, count;
  HSO_HD Radix<2> radix() const { return {{samples}}; }
  HSO_HD void operator()(const Digits<2>& at, Index i) const {
    const Index row = token != nullptr ? token_row(token[at[0] * steps + i], count) : i;
    y[(at[1] * samples + at[0]) * steps + i] = row == at[1] ? T(1) : T(0);
  }
};

/// to[lane][n][j][i][:] (+)= from[lane][n][i][j][:] with I and J entries of the two axes. Launch with (lanes * N * J *
/// I) x cols.
template <class T>
struct SwapAxes {
  const T* from;
  Index from_stride;
  T* to;
  Index to_stride, count, first, second, cols;  ///< count N, first I, second J
  bool accumulate;
  HSO_HD Radix<4> radix() const { return {{first, second, count}}; }
  HSO_HD void rows(const Digits<4>& at, const auto& use) const {
    const Index i = at[0], j = at[1], n = at[2], lane = at[3];
    use(from + lane * from_stride + ((n * first + i) * second + j) * cols,
        out(to + lane * to_stride + ((n * second + j) * first + i) * cols, accumulate));
  }
  HSO_HD void element(const T& value, T& copy) const { store(&copy, value, accumulate); }
};

/// top[r] = the largest of the first numbers of a row: all of them, or, with `steps` > 0, one more in each of that many
/// rows. Launch with rows x 1.
template <class T>
struct RowMaximum {
  const T* x;
  T* top;
  Index cols, steps;
  HSO_HD Radix<2> radix() const { return {{steps > 0 ? steps : 1}}; }
  HSO_HD void operator()(const Digits<2>& at, Index) const {
    const Index r = steps > 0 ? at[1] * steps + at[0] : at[1], seen = steps > 0 ? at[0] + 1 : cols;
    const T* row = x + r * cols;
    T most = row[0];
    for (Index i = 1; i < seen; ++i) most = row[i] > most ? row[i] : most;
    top[r] = most;
  }
};

/// e[r][i] = exp(x[r][i] - top[r]) for the same numbers of a row, 0 for the others. Launch with rows x cols.
template <class T>
struct SoftmaxTerms {
  const T* x;
  const T* top;
  T* e;
  Index cols, steps;
  HSO_HD Radix<2> radix() const { return {{steps > 0 ? steps : cols}}; }
  HSO_HD void operator()(const Digits<2>& at, Index i) const {
    const Index r = at[1] * (steps > 0 ? steps : cols) + at[0], last = steps > 0 ? at[0] : cols;
    const T term = exp_of(x[r * cols + i] - top[r]);
    e[r * cols + i] = i > last ? T(0) : term;
  }
};

/// p[r][i] = e[r][i] / sum[r]; p may be e. Launch with rows x cols.
template <class T>
struct DivideRows {
  const T* e;
  const T* sum;
  T* p;
  Index cols;
  HSO_HD void rows(Index r, const auto& use) const { use(e + r * cols, same(sum + r), out(p + r * cols, false)); }
  HSO_HD void element(const T& term, const T& total, T& share) const { share = term / total; }
};

/// The Jacobian of softmax, which is symmetric: to (+)= p (v - sum p v). Launch with (lanes * rows) x cols.
template <class T>
struct SoftmaxFirst {
  const T* p;
  const T* v;
  Index v_stride;
  const T* product;  ///< [lanes][rows]: sum p v
  T* to;
  Index to_stride, lane_rows, cols;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{lane_rows}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index here = at[0] * cols;
    use(p + here, v + at[1] * v_stride + here, same(product + at[1] * lane_rows + at[0]),
        out(to + at[1] * to_stride + here, accumulate));
  }
  HSO_HD void element(const T& share, const T& vi, const T& mean, T& result) const {
    store(&result, share * (vi - mean), accumulate);
  }
};

/// The derivative of SoftmaxFirst's map of dy along Rx, with Rp the tangent of p: to (+)= Rp (dy - sum p dy) - p sum(Rp
/// dy). Launch with (lanes * rows) x cols.
template <class T>
struct SoftmaxSecond {
  const T* p;
  const T* dy;
  const T* product;  ///< [rows]: sum p dy
  const T* rp;
  Index rp_stride;
  const T* bend;  ///< [lanes][rows]: sum Rp dy
  T* to;
  Index to_stride, lane_rows, cols;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{lane_rows}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index here = at[0] * cols;
    use(p + here, dy + here, same(product + at[0]), rp + at[1] * rp_stride + here,
        same(bend + at[1] * lane_rows + at[0]), out(to + at[1] * to_stride + here, accumulate));
  }
  HSO_HD void element(const T& share, const T& dyi, const T& mean, const T& tangent, const T& curve, T& result) const {
    store(&result, tangent * (dyi - mean) - share * curve, accumulate);
  }
};

template <class T>
using AttentionOps = Types<LookUpRows<T>, TokenStarts<T>, SumByToken<T>, OneHotRows<T>, OneHotColumns<T>, SwapAxes<T>,
                           RowMaximum<T>, SoftmaxTerms<T>, DivideRows<T>, SoftmaxFirst<T>, SoftmaxSecond<T>>;

}  // namespace hso::detail
