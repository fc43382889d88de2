// SPDX-License-Identifier: Apache-2.0
//
// Spectra over training: spectra.jsonl of a run directory.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/objective/network_objective.hpp"

namespace hso {

/// JSON objects without line feeds, one for the whole matrix ("layer": "all") and one for each layer's diagonal block:
/// step, layer, kind, n, both ends of the spectrum (five each, residuals within 1e-4 of the largest or as far as 200
/// products lead), trace and squared Frobenius norm with error bars.
template <class T>
std::vector<std::string> spectrum_lines(Objective<T>& objective, const T* theta,
                                        const std::vector<ParameterInfo>& parameters, Curvature kind, Index step,
                                        std::uint64_t seed);

}  // namespace hso
