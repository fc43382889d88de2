// SPDX-License-Identifier: Apache-2.0
//
// What a spectrum's plan and its analysis must agree on: a request in the methods' own options.
#pragma once

#include "hsogpu/analysis.hpp"

namespace hso::detail {

/// The method `rank` forms the matrix up to here.
inline constexpr Index kDenseRankAtMost = 8192;

EighOptions eigh_options(const SpectrumPlan& plan, bool vectors);

LanczosOptions lanczos_request(const SpectrumRequest& request, Index n);
LanczosOptions rank_request(const SpectrumRequest& request, Index n);
DensityOptions density_request(const SpectrumRequest& request);
TraceOptions trace_request(const SpectrumRequest& request);

}  // namespace hso::detail
