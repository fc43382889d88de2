// SPDX-License-Identifier: Apache-2.0
//
// Device memory that a solution and the iterative methods take, known before they start; of the iterative methods,
// beside what one product and its result took of the arena when it was tried.
#pragma once

#include <vector>

#include "hsogpu/linalg/spectrum.hpp"

namespace hso::detail {

struct Needs {
  Index buffers = 0;                        ///< bytes allocated for the length of the run
  std::vector<std::vector<Index>> scratch;  ///< sequences of takes (Arena::growth)
};

/// Sequences of takes of solve: of all its attempts, so that a positive definite matrix needs less, down to the first;
/// `wide`: of that in float64 too, which solve leaves out where it does not fit.
template <class T>
std::vector<std::vector<Index>> solve_scratch(Context& context, Index n, Index nrhs, bool wide);

/// `options.basis` is the number of vectors held (lanczos_basis).
template <class T>
Needs lanczos_needs(Index n, const LanczosOptions& options);
/// The basis that lanczos takes when options.basis is 0. The errors of lanczos.
template <class T>
Index lanczos_basis(Context& context, Index n, const LanczosOptions& options);
/// The basis that eigenpairs_near takes when options.basis is 0.
template <class T>
Index near_basis(Context& context, Index n, const LanczosOptions& options);

/// `options.lanes` is the number of probes at once (density_lanes).
template <class T>
Needs density_needs(Index n, const DensityOptions& options);
/// Unless options.lanes says it: what one traversal of the operator carries, so that the vectors are still near.
template <class T>
Index density_lanes(LinearOperator<T>& a, const DensityOptions& options);
/// Vectors that spectral_density multiplies at most.
Index density_products(const DensityOptions& options, Index n);

template <class T>
Needs trace_needs(Index n, const TraceOptions& options);
/// Vectors that one product carries.
Index trace_lanes(Index n, const TraceOptions& options);
/// Vectors that trace multiplies, unless xnystrace leaves the trace to xtrace.
Index trace_products(Index n, const TraceOptions& options);

}  // namespace hso::detail
