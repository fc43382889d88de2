// SPDX-License-Identifier: Apache-2.0
//
// Removals from several quadratic models of one size at once, a lane each (detail/elements/pruning.hpp).
#pragma once

#include <limits>
#include <vector>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

template <class T>
class Eliminator {
 public:
  Eliminator(Context& context, Index lanes, Index m, Index capacity)
      : ops_(context.ops<T>()),
        lanes_(lanes),
        capacity_(capacity),
        p_(context, lanes * m * m),
        c_(context, lanes * capacity * m),
        w_(context, lanes * m),
        d_(context, lanes * m),
        open_(context, lanes * m),
        column_(context, lanes * m),
        score_(context, lanes * m),
        factors_(context, 2 * lanes),
        cost_(context, lanes),
        q_(context, lanes),
        order_(context, lanes),
        state_{m,         capacity,     p_.data(),      c_.data(),       w_.data(),
               d_.data(), open_.data(), column_.data(), factors_.data(), q_.data()} {}

  T* inverse() { return p_.data(); }  ///< [lanes][m][m], to be filled before start
  void start(Span<const T> w, Span<const T> open) {
    pending_ = 0;
    w_.upload(w);
    open_.upload(open);
    ops_.for_each(lanes_, state_.m, Diagonal<T>{p_.data(), d_.data(), state_.m});
  }
  void reopen(Span<const T> open) { open_.upload(open); }

  /// Removes the cheapest open parameter of every lane; -1 and 0 where none is left.
  void step() {
    constexpr T smallest = std::numeric_limits<T>::min();
    ops_.for_each(lanes_, state_.m,
                  EliminationScore<T>{state_, score_.data(), smallest, std::numeric_limits<T>::infinity()});
    ops_.argmin(lanes_, state_.m, score_.data(), state_.m, q_.data());
    ops_.for_each(lanes_, state_.m, EliminationColumn<T>{state_, pending_});
    ops_.for_each(lanes_, 1, EliminationPivot<T>{state_, score_.data(), cost_.data(), order_.data(), smallest});
    ops_.for_each(lanes_, state_.m, EliminationUpdate<T>{state_, pending_});
    if (++pending_ == capacity_) flush();
  }
  std::vector<Index> removed() const { return order_.download(); }
  std::vector<T> costs() const { return cost_.download(); }

 private:
  void flush() {
    const Index m = state_.m;
    ops_.gemm({.m = m,
               .n = m,
               .k = pending_,
               .a = c_.data(),
               .lda = m,
               .trans_a = true,
               .b = c_.data(),
               .ldb = m,
               .trans_b = false,
               .c = p_.data(),
               .ldc = m,
               .alpha = T(-1),
               .beta = T(1),
               .batch = lanes_,
               .stride_a = capacity_ * m,
               .stride_b = capacity_ * m,
               .stride_c = m * m});
    pending_ = 0;
  }

  Ops<T>& ops_;
  Index lanes_, capacity_, pending_ = 0;
  Buffer<T> p_, c_, w_, d_, open_, column_, score_, factors_, cost_;
  Buffer<Index> q_, order_;
  Elimination<T> state_;
};

}  // namespace hso::detail
