// SPDX-License-Identifier: Apache-2.0
//
// Kronecker factors as the preconditioner of log-determinants.
//
//   const auto k = objective.kronecker(theta, {.source = Curvature::ggn});
//   const auto p = kronecker_preconditioner(*k, delta);
//   PreconditionedOperator<T> b(*ggn, delta, p);
//   Estimate e = log_determinant(spectral_density(b), p);       log det(G + delta I)
#pragma once

#include "hsogpu/linalg/spectrum.hpp"
#include "hsogpu/objective/kronecker.hpp"

namespace hso {

/// K + delta I; eigenvalues of K below `decay`, the weight decay it was made with, are rounding. UsageError unless the
/// sum of decay and delta is positive. Keeps a reference to K.
template <class T>
SpectralPreconditioner<T> kronecker_preconditioner(KroneckerOperator<T>& k, double delta, double decay = 0);

}  // namespace hso
