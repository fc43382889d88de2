// SPDX-License-Identifier: Apache-2.0
//
// The pairs of limited-memory BFGS and the inverse that they make, by the two-loop recursion (N&W algorithm 7.4).
//
// Where results come late the recursion runs on inner products: every vector in it is a sum of g, the s_i and the y_i,
// so that s_i'y_j, y_i'y_j, s_i'g and y_i'g give all coefficients, and the device forms the sum (Chen, Wang and Zhou,
// "Large-scale L-BFGS using MapReduce", NIPS 2014). The first two are kept from step to step.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

/// The last pairs s, y in a ring with one free place.
template <class T>
class LbfgsPairs {
 public:
  void make_room(Context& context, Index memory, Index n);
  void clear() { count_ = next_ = 0; }
  void visit_state(StateVisitor& state) {
    state("count", count_);
    state("next", next_);
    state("scale", scale_);
    state("s", s_);
    state("y", y_);
    state("curvature", curvature_);
    state("sy", sy_);
    state("yy", yy_);
  }
  Index count() const { return count_; }
  Index places() const { return static_cast<Index>(curvature_.size()); }
  /// The free place, where the next pair is written before it is kept.
  T* next_s() { return s_.data() + next_ * n_; }
  T* next_y() { return y_.data() + next_ * n_; }

  /// Numbers that `queue_next` leaves for `keep`.
  Index numbers() const { return 3 + (late_ ? 3 * places() : 0); }
  void queue_next(double* numbers);
  /// False when s'y is not positive enough: the pair is left out.
  bool keep(Span<const double> numbers);

  /// v := H v, with a wait for each pair.
  void apply(T* v);

  /// Whether results come late: then numbers of `queue_products` for a gradient g serve `combine`.
  bool late() const { return late_; }
  Index products() const { return 2 * places(); }
  void queue_products(const T* g, double* numbers);
  /// v := -H g, without a wait.
  void combine(Span<const double> products, const T* g, T* v);

 private:
  /// The k-th newest, from 1.
  Index at(Index k) const { return (next_ - k + places()) % places(); }
  double& entry(std::vector<double>& matrix, Index i, Index j) {
    return matrix[static_cast<std::size_t>(i * places() + j)];
  }
  double curvature(Index i) const { return curvature_[static_cast<std::size_t>(i)]; }

  Ops<T>* ops_ = nullptr;
  bool late_ = false;
  Index n_ = 0, count_ = 0, next_ = 0;
  Buffer<T> s_, y_;                               ///< [memory + 1][n]
  std::vector<double> curvature_, coefficients_;  ///< s'y
  std::vector<double> sy_, yy_;                   ///< s_i'y_j and y_i'y_j by places
  double scale_ = 1;
};

}  // namespace hso::detail
