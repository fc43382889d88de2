// SPDX-License-Identifier: Apache-2.0
//
// An inverse that is built by rank-one updates, four ways: dense or from the last vectors, of g g' or by SR1.
#pragma once

#include <memory>

#include "hsogpu/core/state.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/optim/hso.hpp"

namespace hso::detail {

template <class T>
class RankOneInverse {
 public:
  virtual ~RankOneInverse() = default;
  /// The gradient at a new point, the step s that led there and the change y of the gradient (null at the first point).
  /// False: the update was skipped.
  virtual bool take(const T* g, const T* s, const T* y) = 0;
  /// out = B g for the gradient that was taken last.
  virtual void apply(const T* g, T* out) = 0;
  /// Forgets everything.
  virtual void restart() = 0;
  virtual void visit_state(StateVisitor& state) = 0;
};

/// MemoryError when a dense inverse, or the vectors, do not fit.
template <class T>
std::unique_ptr<RankOneInverse<T>> make_outer_inverse(Context& context, Index n, const HsoRank1Options& options);
template <class T>
std::unique_ptr<RankOneInverse<T>> make_sr1_inverse(Context& context, Index n, const HsoRank1Options& options);

/// B [n][n] and its products.
template <class T>
class DenseInverse {
 public:
  DenseInverse(Context& context, Index n);
  void reset(double scale);                 ///< B = scale I
  void multiply(const T* x, T* out) const;  ///< out = B x
  void add(double scale, const T* v);       ///< B += scale v v'
  void visit_state(StateVisitor& state) { state("matrix", b_); }

 private:
  Ops<T>& ops_;
  Index n_;
  Buffer<T> b_;
};

/// The last `capacity` vectors, `sets` rows of them in each of as many slots; the oldest slot is used again.
template <class T>
class VectorRing {
 public:
  VectorRing(Context& context, Index n, Index capacity, Index sets);
  void clear();
  void visit_state(StateVisitor& state) {
    state("first", first_);
    state("count", count_);
    state("rows", rows_);
  }
  Index count() const { return count_; }
  Index capacity() const { return capacity_; }
  /// The slot of the i-th oldest vector.
  Index slot(Index i) const { return (first_ + i) % capacity_; }
  /// Makes room for one more and returns its slot.
  Index push();
  T* row(Index set, Index slot) { return rows_.data() + (set * capacity_ + slot) * n_; }
  /// host[set * capacity + slot] = <row, x>, in double.
  void dots(const T* x, std::vector<double>& host);
  /// out = beta out + sum c[set * capacity + slot] row
  void combine(const std::vector<double>& c, double beta, T* out);

 private:
  Context& context_;
  Ops<T>& ops_;
  Index n_, capacity_, sets_, first_ = 0, count_ = 0;
  Buffer<T> rows_;
};

}  // namespace hso::detail
