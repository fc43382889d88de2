// SPDX-License-Identifier: Apache-2.0
//
// The units of theta, D = diag(d), from the dense curvature matrix A: the largest d_i met so far (More, LNM 630 (1978)
// 105, section 5) of d_i^2 = |A_ii|, or of the balanced units where A is indefinite (objective/balanced_units.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/detail/ops.hpp"
#include "objective/balanced_units.hpp"

namespace hso::detail {

template <class T>
class DiagonalScaling {
 public:
  /// Forgets what was met. Without `scales` d stays 1.
  void start(Context& context, Index n, bool scales) {
    scales_ = scales;
    square_.assign(static_cast<std::size_t>(n), 0.0);
    if (scales) inverse_ = Buffer<T>(context, n);
  }
  /// Every step meets a matrix before it divides, and makes 1 / d from what was met.
  void visit_state(StateVisitor& state) { state("square", square_); }
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
    double largest = 0, sum = 0;  // squares may leave the range of numbers
    for (std::size_t i = 0; i < host.size(); ++i)
      largest = std::max(largest, std::sqrt(unit(i)) * std::fabs(static_cast<double>(host[i])));
    if (!(largest > 0 && std::isfinite(largest))) return largest;
    for (std::size_t i = 0; i < host.size(); ++i) {
      const double part = std::sqrt(unit(i)) / largest * static_cast<double>(host[i]);
      sum += part * part;
    }
    return largest * std::sqrt(sum);
  }

 private:
  double unit(std::size_t i) const { return scales_ && square_[i] > 0 ? square_[i] : 1; }
  bool scales_ = false;
  std::vector<double> square_;
  Buffer<T> inverse_;  ///< 1 / d
};

}  // namespace hso::detail
