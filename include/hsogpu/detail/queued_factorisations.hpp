// SPDX-License-Identifier: Apache-2.0
//
// Factorisations of several matrices of which the host learns the outcome later. A backend whose results come late
// offers them by Ops::queued_factorisations; where it does not, the verbs of Ops serve as well.
#pragma once

#include "hsogpu/core/types.hpp"

namespace hso::detail {

template <class T>
class QueuedFactorisations {
 public:
  struct Matrix {
    Index n;
    T* a;  ///< [n][n]
    T* w;  ///< [n], for eigenvalues
  };
  virtual ~QueuedFactorisations() = default;
  /// Ops::syevd with vectors for every matrix; info[i] (device memory) is 0 where it succeeded.
  virtual void syevd_queued(Span<const Matrix> matrices, int* info) = 0;
  /// A := A^-1, both triangles, by Ops::potrf and Ops::potri; info[2][count] (device memory) of the one and the other,
  /// 0 where it succeeded.
  virtual void invert_queued(Span<const Matrix> matrices, int* info) = 0;
  /// The largest order that both take.
  virtual Index queued_limit() = 0;
};

}  // namespace hso::detail
