// SPDX-License-Identifier: Apache-2.0
#include "linalg/tridiagonal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {
namespace {

constexpr Index kPanel = 32;

/// Within a panel the matrix is A - V'W - W'V, V and W the rows so far: columns are updated when their turn comes, the
/// trailing block once at the panel's end.
template <class T>
class Reduction {
 public:
  Reduction(Context& context, Index n, T* a)
      : context_(context), ops_(context.ops<T>()), n_(n), a_(a), scratch_(context) {
    v_ = scratch_.take<T>(kPanel * n);
    w_ = scratch_.take<T>(kPanel * n);
    onto_ = scratch_.take<T>(2 * kPanel);
  }

  Tridiagonal run() {
    for (Index first = 0; first < n_; first += kPanel) {
      const Index width = std::min(kPanel, n_ - first);
      for (Index j = 0; j < width; ++j) column(first + j, j);
      update_trailing(first + width, width);
    }
    return std::move(out_);
  }

 private:
  T* v(Index j, Index c) { return v_ + j * n_ + c; }
  T* w(Index j, Index c) { return w_ + j * n_ + c; }

  /// Row c from the diagonal on, as it is after `j` reflections of this panel; then the reflection that clears it
  /// beyond its first neighbour.
  void column(Index c, Index j) {
    const Index length = n_ - c, m = length - 1;
    T* row = a_ + c * n_ + c;
    if (j > 0) {
      ops_.gemm({1, length, j, v(0, c), n_, true, w(0, c), n_, false, row, length, T(-1), T(1)});
      ops_.gemm({1, length, j, w(0, c), n_, true, v(0, c), n_, false, row, length, T(-1), T(1)});
    }
    T head[2] = {0, 0};
    context_.to_host(row, head, std::min<Index>(length, 2) * static_cast<Index>(sizeof(T)));
    out_.diagonal.push_back(static_cast<double>(head[0]));
    if (m == 0) return;
    const double tail = m > 1 ? ops_.nrm2(m - 1, row + 2) : 0, alpha = static_cast<double>(head[1]);
    const double size = std::hypot(alpha, tail);
    // Below this, 1 / (alpha - beta) would overflow; what is dropped is nothing beside entries of about 1.
    const double negligible = static_cast<double>(std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon());
    if (tail == 0 || size < negligible) {
      out_.off_diagonal.push_back(tail == 0 ? alpha : 0);
      ops_.fill(m, T(0), v(j, c + 1));
      ops_.fill(m, T(0), w(j, c + 1));
      return;
    }
    const double beta = -std::copysign(size, alpha), tau = (beta - alpha) / beta;
    out_.off_diagonal.push_back(beta);
    ops_.axpby(m, static_cast<T>(1 / (alpha - beta)), row + 1, T(0), v(j, c + 1));
    ops_.fill(1, T(1), v(j, c + 1));
    multiply(c + 1, m, j);
    ops_.axpby(m, T(0), v(j, c + 1), static_cast<T>(tau), w(j, c + 1));
    const double along = ops_.dot(m, w(j, c + 1), v(j, c + 1));
    ops_.axpby(m, static_cast<T>(-tau / 2 * along), v(j, c + 1), T(1), w(j, c + 1));
  }

  /// w_j = (A - V'W - W'V) v_j over [c, c + m).
  void multiply(Index c, Index m, Index j) {
    ops_.gemm({1, m, m, v(j, c), m, false, a_ + c * n_ + c, n_, false, w(j, c), m});
    if (j == 0) return;
    ops_.gemm({j, 1, m, v(0, c), n_, false, v(j, c), 1, false, onto_, 1});
    ops_.gemm({j, 1, m, w(0, c), n_, false, v(j, c), 1, false, onto_ + kPanel, 1});
    ops_.gemm({1, m, j, onto_, j, false, w(0, c), n_, false, w(j, c), m, T(-1), T(1)});
    ops_.gemm({1, m, j, onto_ + kPanel, j, false, v(0, c), n_, false, w(j, c), m, T(-1), T(1)});
  }

  void update_trailing(Index c, Index width) {
    const Index m = n_ - c;
    if (m == 0) return;
    T* trailing = a_ + c * n_ + c;
    ops_.gemm({m, m, width, v(0, c), n_, true, w(0, c), n_, false, trailing, n_, T(-1), T(1)});
    ops_.gemm({m, m, width, w(0, c), n_, true, v(0, c), n_, false, trailing, n_, T(-1), T(1)});
  }

  Context& context_;
  Ops<T>& ops_;
  Index n_;
  T* a_;
  Scratch scratch_;
  T *v_ = nullptr, *w_ = nullptr, *onto_ = nullptr;
  Tridiagonal out_;
};

}  // namespace

template <class T>
Tridiagonal tridiagonalize(Context& context, Index n, T* a) {
  return Reduction<T>(context, n, a).run();
}

template <class T>
Index tridiagonalize_bytes(Index n) {
  return checked_multiply(2 * kPanel, n + 1) * static_cast<Index>(sizeof(T));
}

template Tridiagonal tridiagonalize(Context&, Index, float*);
template Tridiagonal tridiagonalize(Context&, Index, double*);
template Index tridiagonalize_bytes<float>(Index);
template Index tridiagonalize_bytes<double>(Index);

}  // namespace hso::detail
