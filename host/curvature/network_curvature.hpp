// SPDX-License-Identifier: Apache-2.0
//
// The curvature operators of a network on its selected rows. All walk the pieces; what they return refers to them.
#pragma once

#include "curvature/network_pieces.hpp"
#include "hsogpu/kronecker.hpp"

namespace hso::detail {

/// hessian, ggn, fisher_mc or fisher_empirical. `linearized`: the main tape stands at theta with everything that the
/// products need.
template <class T>
std::unique_ptr<LinearOperator<T>> products_of(NetworkPieces<T>& pieces, const T* theta, Curvature kind,
                                               bool linearized);

/// UsageError for a source that has no factors.
template <class T>
std::unique_ptr<KroneckerOperator<T>> kronecker_of(NetworkPieces<T>& pieces, const T* theta,
                                                   const KroneckerOptions& options);

/// The exact diagonal of the ggn or of a Fisher matrix, weight decay included, into d[n].
template <class T>
void exact_diagonal_of(NetworkPieces<T>& pieces, const T* theta, Curvature source, T* d);

}  // namespace hso::detail
