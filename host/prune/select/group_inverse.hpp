// SPDX-License-Identifier: Apache-2.0
//
// Hassibi and Stork's update for sets of parameters: rows of weights that lose the same entries, each with Hessian
// b_r H, P = H^-1. Removing the set Q costs sum_r b_r/2 w_rQ (P_QQ)^-1 w_rQ'; with Z = P_:Q (P_QQ)^-1 the rest becomes
// W -= W_Q Z' and P -= Z P_Q:.
#pragma once

#include <vector>

#include "hsogpu/core/context.hpp"

namespace hso::detail {

template <class T>
class GroupInverse {
 public:
  /// p[m][m] on the device; w[rows][m] and b[rows] on the host.
  GroupInverse(Context& context, Index m, Buffer<T> p, const std::vector<T>& w, std::vector<double> b);

  Index rows() const { return static_cast<Index>(b_.size()); }
  /// Infinite where P_QQ is not positive definite to rounding.
  double cost(const std::vector<Index>& q);
  /// Entries q of every row become 0 and the others make up for them; without `compensate` they stay. Where P_QQ is not
  /// positive definite to rounding nothing can be made up: W and P keep the rest as it is, and uncompensated() counts
  /// q.
  void remove(const std::vector<Index>& q, bool compensate);
  /// Entries that were removed so.
  Index uncompensated() const { return uncompensated_; }
  /// Row r no longer counts.
  void silence(Index r) { b_[static_cast<std::size_t>(r)] = 0; }
  /// [rows][m]
  std::vector<T> weights() const { return w_.download(); }

 private:
  bool factor(const std::vector<Index>& q, T* block);
  void gather(const T* from, Index rows, const Buffer<Index>& q, T* to);

  Context& context_;
  Index m_;
  Buffer<T> p_, w_;
  std::vector<double> b_;
  Index uncompensated_ = 0;
};

}  // namespace hso::detail
