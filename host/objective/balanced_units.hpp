// SPDX-License-Identifier: Apache-2.0
//
// Units d of the variables in which a symmetric matrix A [n][n] has entries of at most about 1: d_i^2 = |A_ii|. Where
// some |A_ij| > d_i d_j, which no semidefinite matrix has, diagonals say little, and d makes the largest entry of every
// row of D^-1 A D^-1 about 1 instead (Ruiz, RAL-TR-2001-034).
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace hso::detail {

/// |A_ij| <= d_i d_j, to a percent, with d from the diagonal.
template <class T>
bool diagonal_dominates(const std::vector<T>& a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const double off = a[i * n + j], product = static_cast<double>(a[i * n + i]) * a[j * n + j];
      if (off * off > 1.01 * std::fabs(product)) return false;
    }
  return true;
}

/// d^2; 0 for a row of zeros.
template <class T>
std::vector<double> balanced_units(const std::vector<T>& a, std::size_t n) {
  std::vector<double> square(n, 1.0), largest(n);
  for (int pass = 0; pass < 30; ++pass) {
    double worst = 0;
    for (std::size_t i = 0; i < n; ++i) {
      double top = 0;
      for (std::size_t j = 0; j < n; ++j)
        top = std::max(top, std::fabs(static_cast<double>(a[i * n + j])) / std::sqrt(square[i] * square[j]));
      largest[i] = top > 0 ? top : 1;
      worst = std::max(worst, std::fabs(std::log(largest[i])));
    }
    if (worst < 0.1) break;
    for (std::size_t i = 0; i < n; ++i) square[i] *= largest[i];
  }
  for (std::size_t i = 0; i < n; ++i)
    if (std::all_of(a.begin() + static_cast<std::ptrdiff_t>(i * n),
                    a.begin() + static_cast<std::ptrdiff_t>((i + 1) * n), [](T x) { return x == T(0); }))
      square[i] = 0;
  return square;
}

}  // namespace hso::detail
