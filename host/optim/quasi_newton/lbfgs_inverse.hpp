// SPDX-License-Identifier: Apache-2.0
//
// The inverse of limited-memory BFGS from pairs s, y = A s that a solver meets, as an operator that never waits: its
// compact form (Byrd, Nocedal and Schnabel, Math. Program. 63 (1994) 129, theorem 2.2)
//
//   H = gamma I + [S gamma Y] M [S gamma Y]',  M = [R^-T (D + gamma Y'Y) R^-1, -R^-T; -R^-1, 0]
//
// with pairs as columns from the oldest to the newest, R the upper triangle of S'Y, D its diagonal and gamma = s'y /
// y'y of the newest. R is not inverted (elements/lbfgs.hpp): pairs may be all but parallel. As a preconditioner of
// conjugate gradients: Morales and Nocedal, SIAM J. Optim. 10 (2000) 1079. The host knows the inner products of all
// pairs once a solve, and for A + delta I takes every y for y + delta s.
#pragma once

#include <memory>
#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/linalg/linear_operator.hpp"
#include "linalg/queued_numbers.hpp"

namespace hso::detail {

template <class T>
class LbfgsInverse final : public LinearOperator<T> {
 public:
  /// Of the last `memory` pairs. One solve leaves half as many at most.
  explicit LbfgsInverse(Index memory) : memory_(memory), spare_((memory + 1) / 2) {}
  /// Of n variables: bytes of `make_room`, and of a copy of the state.
  Index bytes(Index n) const;
  void make_room(Context& context, Index n);
  void clear();
  void visit_state(StateVisitor& state);

  /// Rows for the pairs i = 1, 2, ... of a solve, the last of which stay; the inverse as it is does not use them.
  T* s(Index i) { return row(fresh(i)); }
  T* y(Index i) { return row(places() + fresh(i)); }
  /// Rows 1 to `count` hold pairs s, y = (A + delta I) s now.
  void keep(Index count, double delta);
  /// From now on the inverse of A + delta I. False: there is no pair with s'y above rounding, and no inverse.
  bool renew(double delta);

  Context& context() const override { return *context_; }
  Index dimension() const override { return n_; }
  Index lanes() const override { return 1; }
  void apply(View<const T> v, View<T> hv) override;

 private:
  struct Pairs;
  Index places() const { return memory_ + spare_; }
  Index rows() const { return 2 * places(); }
  T* row(Index i) { return rows_.data() + i * n_; }
  Index fresh(Index i) const { return fresh_[static_cast<std::size_t>((i - 1) % spare_)]; }
  void find_fresh();
  void measure();
  double& gram(Index i, Index j) { return gram_[static_cast<std::size_t>(i * rows() + j)]; }
  Pairs usable(double delta);
  void upload(Pairs& pairs);

  Index memory_, spare_, n_ = 0;
  Context* context_ = nullptr;
  Buffer<T> rows_;                 ///< the s of each place, then the y
  Buffer<T> factors_;              ///< of the rows in an application
  Buffer<double> numbers_, work_;  ///< of LbfgsCoefficients: what it reads; products, p and q
  Index used_ = 0;                 ///< pairs in them
  std::unique_ptr<QueuedNumbers> queued_;
  std::vector<double> gram_;  ///< inner products of the rows, but for those of `unmeasured_`
  std::vector<Index> order_;  ///< places from the oldest pair to the newest
  std::vector<Index> fresh_;  ///< places without a pair
  std::vector<Index> unmeasured_;
  std::vector<double> deltas_;  ///< of the pair at each place
  double gamma_ = 1;
};

}  // namespace hso::detail
