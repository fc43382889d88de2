// SPDX-License-Identifier: Apache-2.0
//
// The damped block H = A_SS + delta I of a removal, delta = damping times the mean of A_SS' diagonal; where that is not
// positive definite, V max(|L|, delta) V' of its eigendecomposition.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/prune/surgeon.hpp"

namespace hso::detail {

/// h[m][m] := V f(max(|L|, floor)) V' of its eigendecomposition, f the reciprocal or nothing; floor = delta, or what
/// rounding leaves of the largest |L|. Returns a note that says so; `size` <= m is what it calls the block's size.
template <class T>
std::string make_positive_definite(Context& context, Index size, Index m, T* h, double delta, bool reciprocal);

template <class T>
class BlockMatrix {
 public:
  /// a[order][order] on the device, not owned.
  BlockMatrix(Context& context, const T* a, Index order, double damping)
      : context_(context), a_(a), order_(order), damping_(damping) {}

  /// to[m][m] = H^-1 of the rows, and the identity beside it. Returns a note where H was replaced, "" otherwise. Rows
  /// of one layer often keep the same inputs: then the last inverse serves again.
  std::string inverse(const std::vector<Index>& rows, Index m, T* to);

  /// What the kept entries of w move by when the others become 0: (H_SS)^-1 H_SQ w_Q, in the order of the kept ones.
  std::vector<T> compensation(const std::vector<Index>& rows, bool replaced, const std::vector<T>& w,
                              const std::vector<std::uint8_t>& gone);

 private:
  void gather(const std::vector<Index>& rows, Index m, T* to);
  bool factors(Index m, T* a);
  Context& context_;
  const T* a_;
  Index order_;
  double damping_, delta_ = 0;  ///< of the last gathered block
  Buffer<T> inverse_;
  const std::vector<Index>* inverse_of_ = nullptr;
  Index inverse_order_ = 0;
  std::string inverse_note_;
};

}  // namespace hso::detail
