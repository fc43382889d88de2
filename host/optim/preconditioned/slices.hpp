// SPDX-License-Identifier: Apache-2.0
//
// Products on the matrix slices of theta: G[m][n] row-major beside symmetric or orthogonal matrices of its axes.
#pragma once

#include <algorithm>
#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective/objective.hpp"

namespace hso::detail {

/// c[m][m] = beta c + alpha G G'
template <class T>
void rows_gram(Ops<T>& ops, Index m, Index n, const T* g, double alpha, double beta, T* c) {
  ops.gemm({m, m, n, g, n, false, g, n, true, c, m, static_cast<T>(alpha), static_cast<T>(beta)});
}
/// c[n][n] = beta c + alpha G'G
template <class T>
void columns_gram(Ops<T>& ops, Index m, Index n, const T* g, double alpha, double beta, T* c) {
  ops.gemm({n, n, m, g, n, true, g, n, false, c, n, static_cast<T>(alpha), static_cast<T>(beta)});
}

/// y[m][n] = q x or q' x, q [m][m]
template <class T>
void multiply_left(Ops<T>& ops, Index m, Index n, const T* q, bool transpose, const T* x, T* y) {
  ops.gemm({m, n, m, q, m, transpose, x, n, false, y, n});
}
/// y[m][n] = x q or x q', q [n][n]
template <class T>
void multiply_right(Ops<T>& ops, Index m, Index n, const T* x, const T* q, bool transpose, T* y) {
  ops.gemm({m, n, n, x, n, false, q, n, transpose, y, n});
}

/// n zeros
template <class T>
Buffer<T> zeros(Context& context, Index n) {
  Buffer<T> out(context, n);
  context.ops<T>().fill(n, T(0), out.data());
  return out;
}

/// max over the slices of rows * columns: what one slice's scratch needs.
inline Index largest_slice(const std::vector<ParameterSlice>& layout) {
  Index most = 0;
  for (const ParameterSlice& s : layout) most = std::max(most, s.size());
  return most;
}

/// v = momentum v + p as a step that can still be refused: step := -rate (p + momentum v), and v := -step / rate when
/// it is taken.
template <class T>
class HeavyBall {
 public:
  void start(Context& context, Index n) { velocity_ = zeros<T>(context, n); }
  void visit_state(StateVisitor& state) { state("velocity", velocity_); }
  /// step holds p.
  void propose(Ops<T>& ops, double rate, double momentum, T* step) {
    ops.axpby(velocity_.size(), static_cast<T>(-rate * momentum), velocity_.data(), static_cast<T>(-rate), step);
    rate_ = rate;
    last_ = step;
  }
  void commit(Ops<T>& ops) { ops.axpby(velocity_.size(), static_cast<T>(-1 / rate_), last_, T(0), velocity_.data()); }
  /// Where *go is not 0.
  void commit_under(Ops<T>& ops, const std::uint64_t* go) {
    const Index n = velocity_.size();
    ops.for_each(1, n, Guarded<Axpby<T>>{go, {static_cast<T>(-1 / rate_), last_, n, T(0), velocity_.data(), n}});
  }

 private:
  Buffer<T> velocity_;
  const T* last_ = nullptr;
  double rate_ = 1;
};

}  // namespace hso::detail
