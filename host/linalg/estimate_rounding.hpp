// SPDX-License-Identifier: Apache-2.0
//
// What rounding adds to estimates.
#pragma once

#include "hsogpu/linalg/spectrum.hpp"

namespace hso::detail {

/// How far rounding may have moved the nodes: 20 eps |A|. In exact arithmetic the computed rule belongs to a matrix
/// whose eigenvalues lie as close as a modest multiple of eps |A| to those of A (Greenbaum, Linear Algebra Appl. 113
/// (1989) 7).
double node_rounding(const SpectralDensity& density);

/// Rounding of a mean of z'Az over probes of length sqrt(n): a product errs by some eps |Az|, which is |A|_F on
/// average. Ten units, since sums over the samples of a batch are rounded too.
double trace_rounding(double epsilon, Index n, double frobenius_squared);

/// The interval grows by `rounding` on either side.
Estimate with_rounding(Estimate e, double rounding);

}  // namespace hso::detail
