// SPDX-License-Identifier: Apache-2.0
//
// An orthonormal basis in device memory, one vector a row, and orthogonalisation against it.
#pragma once

#include <vector>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"

namespace hso::detail {

template <class T>
class Basis {
 public:
  Basis(Context& context, Index n, Index capacity)
      : context_(context), ops_(context.ops<T>()), n_(n), vectors_(context, checked_multiply(n, capacity)) {}

  Index n() const { return n_; }
  Index size() const { return size_; }
  T* row(Index i) { return vectors_.data() + i * n_; }
  void resize(Index size) { size_ = size; }

  /// w_j -= V'V w_j for the first `against` vectors and `count` rows w, in two passes. Coefficients V w_j are added to
  /// h[against][count] (host, double) when it is not null.
  void project_out(Index against, Index count, T* w, double* h);

  /// Rows [first, first + count) become orthonormal and orthogonal to those before `first`, to which they are
  /// orthogonal already. r[count][count] (host): row j of what was there = sum_l r[l][j] (new row l), r upper
  /// triangular. A row that is rounding beside `scale` becomes a random vector orthogonal to all, with r[j][j] = 0.
  void orthonormalize(Index first, Index count, double scale, std::uint64_t seed, std::vector<double>& r);

  /// The rows become c V: c [m][size()] (host), m <= size(). Rows from size() on, `tail` of them, move to m on.
  void recombine(const std::vector<double>& c, Index m, Index tail);
  /// Scratch that recombine takes beside c, for any m up to `capacity`.
  static Index recombine_bytes(Index n, Index capacity);

  /// out[m][n] = c V
  void combine(const std::vector<double>& c, Index m, T* out);

 private:
  /// A random unit vector at row i, orthogonal to the rows before.
  void randomize(Index i, std::uint64_t seed);
  Context& context_;
  Ops<T>& ops_;
  Index n_, size_ = 0;
  std::uint64_t random_vectors_ = 0;
  Buffer<T> vectors_;
};

}  // namespace hso::detail
