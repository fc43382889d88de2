// SPDX-License-Identifier: Apache-2.0
//
// Ritz pairs of one Krylov space by Lanczos' recurrence with full reorthogonalisation, without restarts, in buffers
// that stay: V A V' = T from a chosen first vector, T = S diag(values) S'.
#pragma once

#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/objective/objective.hpp"
#include "linalg/basis.hpp"

namespace hso::detail {

template <class T>
class KrylovPairs {
 public:
  /// Room for `steps` vectors and one more. MemoryError when it is not there.
  KrylovPairs(Context& context, Index n, Index steps);

  /// From `start` (n numbers, not zero): products until the `rank` pairs of largest |value| have residuals within
  /// `tolerance` of the largest, or the steps are spent, or the space is closed. Where it closes before `rank` a random
  /// vector continues it. False when a product is not finite: there are no pairs then. Waits for the device where the
  /// pairs are looked at: once where the steps are no more than the rank.
  bool refresh(LinearOperator<T>& a, const T* start, Index rank, double tolerance, std::uint64_t seed);

  /// What the coming refresh depends on; and the pairs, without what only a refresh looks at.
  void visit_counters(StateVisitor& state) { basis_.visit_state(state); }
  void visit_pairs(StateVisitor& state);

  const std::vector<double>& values() const { return values_; }  ///< ascending, at most `rank`
  Index count() const { return static_cast<Index>(values_.size()); }
  T* vectors() { return basis_.row(0); }  ///< [count][n], row i of values[i]
  /// What rounding of the products may do to a value (EigenPairs::rounding).
  double rounding() const;
  Index steps() const { return steps_; }
  Index products() const { return products_; }  ///< of the last refresh
  /// Device memory that is held.
  static Index bytes(Index n, Index steps);

 private:
  void begin(const T* start);
  void advance(LinearOperator<T>& a);
  bool time_to_read(Index rank) const;
  bool collect(std::uint64_t seed);
  bool enough(Index rank, double tolerance);
  Context& context_;
  Index n_, steps_, products_ = 0, looked_ = 0;
  bool wait_for_each_ = false;  ///< step's coefficients
  Basis<T> basis_;
  PanelLog<T> log_;
  Buffer<double> scale_;  ///< [1] the largest product, on the device
  std::vector<double> diagonal_, off_diagonal_, values_;
  std::vector<double> ritz_values_, ritz_vectors_;  ///< of T, ascending; [m][m], one a row
  std::vector<Index> chosen_;
  double zeros_ = 0;  ///< sum of squares of coefficients that are zero but for rounding
  Index zeros_seen_ = 0;
};

}  // namespace hso::detail
