// SPDX-License-Identifier: Apache-2.0
//
// What a spectrum's plan and its analysis must agree on: a request in the methods' own options.
#pragma once

#include "hsogpu/linalg/analysis.hpp"

namespace hso::detail {

/// The method `rank` forms the matrix up to here.
inline constexpr Index kDenseRankAtMost = 8192;

/// UsageError names a number of the request that is out of its range.
void require_sensible(const SpectrumRequest& request);

EighOptions eigh_options(const SpectrumPlan& plan, bool vectors);

LanczosOptions lanczos_request(const SpectrumRequest& request, Index n);
LanczosOptions rank_request(const SpectrumRequest& request, Index n);
DensityOptions density_request(const SpectrumRequest& request);
/// The same for the log-determinant of P^-1/2 (A + damping I) P^-1/2.
template <class T>
SpectrumRequest preconditioned_request(const SpectrumRequest& request, const SpectralPreconditioner<T>& p) {
  SpectrumRequest out = request;
  out.method = SpectrumMethod::slq;
  out.lower_bound.reset();
  if (request.lower_bound && *request.lower_bound + *request.damping > 0)
    out.lower_bound = (*request.lower_bound + *request.damping) / p.largest;
  out.damping = 0;
  return out;
}
TraceOptions trace_request(const SpectrumRequest& request);

}  // namespace hso::detail
