// SPDX-License-Identifier: Apache-2.0
//
// Rows made orthonormal by Cholesky-QR: W = R'Q with W W' = R'R, R upper triangular. The Gram matrix is summed in
// double, so one round leaves |Q Q' - I| of about cond(W)^2 times the rounding of double, and a second one repairs it.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// What became of a row, in device memory.
inline constexpr double kRowFine = 0;
inline constexpr double kRowImprecise = 1;  ///< what was left of it is little beside what was taken off: clean it again
inline constexpr double kRowNegligible = 2;  ///< rounding

/// Sizes of a panel that SolveRows is compiled for, beside single rows.
inline constexpr Index kWidestPanel = 8;

/// R of up to kWidestPanel rows from their Gram matrix, one column after the other. A pivot that rounding may have made
/// is raised to what the sum resolves, so that the row grows and the next round sees it. Launch with 1 x 1.
template <class T>
struct FactorPanel {
  Index width;
  const double* gram;     ///< [width][width], the lower triangle
  const double* before;   ///< R of the round before, or null: the identity
  const double* removed;  ///< |what the last projection took off|^2 of a single row, or null
  double* r;              ///< [width][width], upper triangle written
  T* solve;               ///< [width][width]: R, and 1 / R on the diagonal, for SolveRows
  double* scale;          ///< of the operator: max |A v| so far
  const double* product;  ///< |A V'|^2 of `lanes` unit vectors that raises it, or null
  Index lanes;
  double negligible;  ///< beside the scale
  double* status;     ///< [width], or null: not the last round, so nothing is decided

  HSO_HD void operator()(Index, Index) const {
    if (product != nullptr) {
      const double size = std::sqrt(*product / static_cast<double>(lanes));
      if (size > *scale) *scale = size;
    }
    for (Index j = 0; j < width; ++j) column(j);
  }

 private:
  HSO_HD void column(Index j) const {
    constexpr double kResolved = 1e-14, kLittle = 0.05;
    const double whole = gram[j * width + j];
    double rest = whole;
    for (Index l = 0; l < j; ++l) {
      double entry = gram[j * width + l];
      for (Index k = 0; k < l; ++k) entry -= r[k * width + l] * r[k * width + j];
      const double pivot = r[l * width + l];
      entry = pivot > 0 ? entry / pivot : 0;
      r[l * width + j] = entry;
      solve[l * width + j] = static_cast<T>(entry);
      rest -= entry * entry;
    }
    const double length = std::sqrt(rest > kResolved * whole ? rest : kResolved * whole);
    if (status != nullptr) {
      const double total = before != nullptr ? length * before[j * width + j] : length;
      const double all = whole + (removed != nullptr ? *removed : 0);
      status[j] = !(total > negligible * *scale) ? kRowNegligible : rest < kLittle * all ? kRowImprecise : kRowFine;
    }
    r[j * width + j] = length;
    solve[j * width + j] = length > 0 ? static_cast<T>(1 / length) : T(0);
  }
};

/// W := Q with R'Q = W in place, by forward substitution; `r` as FactorPanel leaves it in `solve`. A row whose
/// reciprocal pivot is 0 becomes zero. Launch with 1 x n.
template <class T, int Width>
struct SolveRows {
  const T* r;
  T* w;
  Index stride;
  HSO_HD void operator()(Index, Index i) const {
    T row[Width];
    for (int j = 0; j < Width; ++j) row[j] = w[j * stride + i];
    for (int j = 0; j < Width; ++j) {
      for (int l = 0; l < j; ++l) row[j] -= r[l * Width + j] * row[l];
      row[j] *= r[j * Width + j];
    }
    for (int j = 0; j < Width; ++j) w[j * stride + i] = row[j];
  }
};

template <class T>
using OrthonormalOps = Types<FactorPanel<T>, SolveRows<T, 2>, SolveRows<T, 3>, SolveRows<T, 4>, SolveRows<T, 8>>;

}  // namespace hso::detail
