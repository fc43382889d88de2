// SPDX-License-Identifier: Apache-2.0
//
// What needs only the largest eigenpairs of the kept parameters' curvature.
#pragma once

#include "hsogpu/linalg/spectrum.hpp"
#include "prune/select/stage.hpp"

namespace hso::detail {

/// rule.rank pairs of the largest |l|, in the space of the kept parameters. NumericalError where they do not converge.
template <class T>
EigenPairs<T> leading_pairs(Stage<T>& stage);

/// hsp_saliency by its rank: flat is all but the leading pairs, at the mean |l| that the trace (Hutchinson's estimate)
/// leaves for it. Removes in 64 rounds.
template <class T>
Surgery surgery_by_rank(Stage<T>& stage);

}  // namespace hso::detail
