// SPDX-License-Identifier: Apache-2.0
//
// Elimination of parameters from quadratic models: P = H^-1 of m parameters, one model a lane. Removing q makes
// w -= (w_q / P_qq) P_q and P -= P_q P_q' / P_qq (Hassibi and Stork, NIPS 1992, eq. 5), at a cost of w_q^2 / (2 P_qq).
// Up to `capacity` columns c = P_q / sqrt(P_qq) wait in C before one product takes them out of P; the diagonal d of P
// and w are always up to date.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

template <class T>
struct Elimination {
  Index m, capacity;
  const T* p;      ///< [lanes][m][m]
  T* c;            ///< [lanes][capacity][m]
  T* w;            ///< [lanes][m]
  T* d;            ///< [lanes][m]
  T* open;         ///< [lanes][m]: 1 where a parameter may be removed
  T* column;       ///< [lanes][m]: P_q
  T* factors;      ///< [lanes][2]: 1 / sqrt(P_qq) and w_q / sqrt(P_qq)
  const Index* q;  ///< [lanes], -1: none is left

  HSO_HD Index at(Index lane) const { return lane * m; }
};

/// score[o][i] = w^2 / (2 d), infinite for what may not be removed. A diagonal that rounding ate counts as the smallest
/// normal number: such a parameter is dear.
template <class T>
struct EliminationScore {
  Elimination<T> e;
  T* score;
  T smallest, infinity;
  HSO_HD void operator()(Index o, Index i) const {
    const Index j = e.at(o) + i;
    const T d = e.d[j] > smallest ? e.d[j] : smallest;
    score[j] = e.open[j] > T(0) ? T(0.5) * e.w[j] * (e.w[j] / d) : infinity;
  }
};

/// column[o][i] = (P - C'C)_qi with `pending` rows in C.
template <class T>
struct EliminationColumn {
  Elimination<T> e;
  Index pending;
  HSO_HD void operator()(Index o, Index i) const {
    const Index q = e.q[o] < 0 ? 0 : e.q[o];
    const T* c = e.c + o * e.capacity * e.m;
    T sum = e.p[(o * e.m + q) * e.m + i];
    for (Index k = 0; k < pending; ++k) sum -= c[k * e.m + q] * c[k * e.m + i];
    e.column[e.at(o) + i] = sum;
  }
};

/// What the removal of q costs and which it was; and the factors of the update, zero where none is left. Launch with
/// lanes x 1.
template <class T>
struct EliminationPivot {
  Elimination<T> e;
  const T* score;
  T* costs;      ///< [lanes]
  Index* order;  ///< [lanes]
  T smallest;
  HSO_HD void operator()(Index o, Index) const {
    const Index q = e.q[o];
    order[o] = q;
    costs[o] = q < 0 ? T(0) : score[e.at(o) + q];
    const T pivot = q < 0 ? T(1) : e.column[e.at(o) + q];
    const T scale = q < 0 ? T(0) : T(1) / std::sqrt(pivot > smallest ? pivot : smallest);
    e.factors[2 * o] = scale;
    e.factors[2 * o + 1] = q < 0 ? T(0) : e.w[e.at(o) + q] * scale;
  }
};

/// c = column / sqrt(P_qq) into row `pending` of C, w -= (w_q / sqrt(P_qq)) c, d -= c^2; q itself becomes exactly 0.
template <class T>
struct EliminationUpdate {
  Elimination<T> e;
  Index pending;
  HSO_HD void operator()(Index o, Index i) const {
    const Index j = e.at(o) + i;
    const T c = e.column[j] * e.factors[2 * o];
    const bool removed = i == e.q[o];
    e.c[(o * e.capacity + pending) * e.m + i] = c;
    e.w[j] = removed ? T(0) : e.w[j] - e.factors[2 * o + 1] * c;
    e.d[j] = removed ? T(0) : e.d[j] - c * c;
    if (removed) e.open[j] = T(0);
  }
};

/// to[o][r][i] = a[index[o][r]][index[o][i]], with `shift` added on the diagonal; an index of -1 makes a row and column
/// of the identity. Launch with (lanes * m) x m.
template <class T>
struct GatherBlock {
  const T* a;
  Index lda;
  const Index* index;  ///< [lanes][m]
  T* to;
  Index m;
  T shift;
  HSO_HD Radix<2> radix() const { return {{m}}; }
  HSO_HD void operator()(const Digits<2>& at, Index i) const {
    const Index row = at[0], lane = at[1] * m, o = lane + row, from = index[o], to_column = index[lane + i];
    const T value = from < 0 || to_column < 0 ? T(0) : a[from * lda + to_column];
    const T diagonal = from < 0 ? T(1) : shift;
    to[o * m + i] = row == i ? value + diagonal : value;
  }
};

/// d[o][i] = a[o][i][i]. Launch with lanes x m.
template <class T>
struct Diagonal {
  const T* a;
  T* d;
  Index m;
  HSO_HD void operator()(Index o, Index i) const { d[o * m + i] = a[(o * m + i) * m + i]; }
};

/// Scores of pruning, in double whatever the network computes in. scores[i] = |theta[i]|.
template <class T>
struct MagnitudeScore {
  const double* theta;
  double* scores;
  HSO_HD void operator()(Index, Index i) const { scores[i] = std::fabs(theta[i]); }
};

/// scores[i] = |gradient[i] theta[i]|
template <class T>
struct GradientScore {
  const T* gradient;
  const double* theta;
  double* scores;
  HSO_HD void operator()(Index, Index i) const { scores[i] = std::fabs(static_cast<double>(gradient[i]) * theta[i]); }
};

/// scores[i] *= theta[i]^2 / 2, of the curvature's diagonal.
template <class T>
struct CurvatureScore {
  const double* theta;
  double* scores;
  HSO_HD void operator()(Index, Index i) const { scores[i] *= 0.5 * theta[i] * theta[i]; }
};

/// scores[at[i]] = scale values[i] + shift; the places differ.
template <class T>
struct SpreadScores {
  const T* values;
  const Index* at;
  double scale, shift;
  double* scores;
  HSO_HD void operator()(Index, Index i) const { scores[at[i]] = scale * static_cast<double>(values[i]) + shift; }
};

template <class T>
using PruningOps =
    Types<EliminationScore<T>, EliminationColumn<T>, EliminationPivot<T>, EliminationUpdate<T>, GatherBlock<T>,
          Diagonal<T>, MagnitudeScore<T>, GradientScore<T>, CurvatureScore<T>, SpreadScores<T>>;

}  // namespace hso::detail
