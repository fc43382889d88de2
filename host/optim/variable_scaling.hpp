// SPDX-License-Identifier: Apache-2.0
//
// The units of theta, D = diag(d), from the dense curvature matrix A: the largest d_i met so far (More, LNM 630 (1978)
// 105, section 5) of d_i^2 = |A_ii|. Where some |A_ij| > d_i d_j, which no semidefinite matrix has, diagonals say
// little, and d makes the largest entry of every row of D^-1 A D^-1 about 1 instead (Ruiz, RAL-TR-2001-034).
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "hsogpu/detail/ops.hpp"

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

template <class T>
class DiagonalScaling {
 public:
  /// Forgets what was met. Without `scales` d stays 1.
  void start(Context& context, Index n, bool scales) {
    scales_ = scales;
    square_.assign(static_cast<std::size_t>(n), 0.0);
    if (scales) inverse_ = Buffer<T>(context, n);
  }
  /// Reads A [n][n] and changes the units.
  void meet(Context& context, const T* a) {
    if (!scales_) return;
    const std::size_t n = square_.size();
    std::vector<T> host(n * n), inverse(n);
    context.to_host(a, host.data(), static_cast<Index>(host.size() * sizeof(T)));
    std::vector<double> now(n);
    for (std::size_t i = 0; i < n; ++i) now[i] = std::fabs(static_cast<double>(host[i * n + i]));
    if (!diagonal_dominates(host, n)) now = balanced_units(host, n);
    for (std::size_t i = 0; i < n; ++i) {
      square_[i] = std::max(square_[i], now[i]);
      inverse[i] = static_cast<T>(1 / std::sqrt(unit(i)));
    }
    inverse_.upload(inverse);
  }
  /// A := D^-1 A D^-1
  void divide_matrix(Ops<T>& ops, T* a) const {
    if (!scales_) return;
    const Index n = inverse_.size();
    ops.for_each(n, n, ScaleRows<T>{inverse_.data(), a, a, n});
    ops.for_each(n, n, Scale<T>{inverse_.data(), a, n, a, n, false});
  }
  /// x := D^-1 x
  void divide(Ops<T>& ops, T* x) const {
    if (scales_) ops.for_each(1, inverse_.size(), Scale<T>{inverse_.data(), x, 0, x, 0, false});
  }
  /// |D x|
  double size_of(Context& context, const T* x) const {
    std::vector<T> host(square_.size());
    context.to_host(x, host.data(), static_cast<Index>(host.size() * sizeof(T)));
    double sum = 0;
    for (std::size_t i = 0; i < host.size(); ++i) sum += unit(i) * static_cast<double>(host[i]) * host[i];
    return std::sqrt(sum);
  }

 private:
  double unit(std::size_t i) const { return scales_ && square_[i] > 0 ? square_[i] : 1; }
  bool scales_ = false;
  std::vector<double> square_;
  Buffer<T> inverse_;  ///< 1 / d
};

}  // namespace hso::detail
