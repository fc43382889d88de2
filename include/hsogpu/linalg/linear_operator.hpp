// SPDX-License-Identifier: Apache-2.0
//
// A square matrix that is known by its products: what solvers and spectra work on. operators.hpp makes operators of
// operators; objectives (objective/objective.hpp) give theirs by curvature().
#pragma once

#include <cstdint>

#include "hsogpu/core/context.hpp"

namespace hso {

template <class T>
class KroneckerOperator;

/// Its products, and what it knows of itself.
template <class T>
class LinearOperator {
 public:
  virtual ~LinearOperator() = default;
  virtual Context& context() const = 0;
  virtual Index dimension() const = 0;
  /// Directions that one traversal of apply carries; more take several traversals.
  virtual Index lanes() const { return 16; }
  /// hv = A v for K lanes of n numbers; hv is overwritten and may not overlap v.
  virtual void apply(View<const T> v, View<T> hv) = 0;
  /// h[n][n]: row i = A e_i. The default takes lanes of the identity.
  virtual void to_dense(T* h);
  /// h[b][b]: rows and columns [begin, begin + b) of A. The default multiplies lanes of the identity and keeps a part;
  /// a network's operator walks only the layers that the block sees where it is made of whole parameters.
  virtual void diagonal_block(Index begin, Index b, T* h);

  // What it knows of itself beside its products.
  /// Error of the entries, relative to the largest one where rows and columns are balanced. 0: rounding alone.
  virtual double relative_error() const { return 0; }
  /// Gradients of an objective that it has evaluated.
  virtual std::int64_t gradients() const { return 0; }
  /// The matrix, or the Jacobian that makes it, is at hand: products evaluate nothing.
  virtual bool stored() const { return false; }
  /// Where it is made of Kronecker factors, or is a diagonal matrix: itself, or its entries; else null.
  virtual KroneckerOperator<T>* kronecker() { return nullptr; }
  virtual const Buffer<T>* diagonal_entries() const { return nullptr; }
};

}  // namespace hso
