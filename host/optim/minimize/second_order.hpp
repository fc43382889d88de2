// SPDX-License-Identifier: Apache-2.0
//
// What is known of the signs of the Hessian's eigenvalues where a minimisation ends.
#pragma once

#include <optional>
#include <string>

#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/optimizer.hpp"

namespace hso::detail {

/// From the metrics n_positive, n_zero, n_negative and n_uncertain, those counting as zero, of a step whose curvature
/// is the Hessian's; null: not measured.
std::optional<Inertia> inertia_of(const StepReport& report);

/// Of the Hessian at theta from one dense matrix in balanced units, and a gradient where a value is negative: one
/// within change_to_come (spectral.hpp), `start` being where theta started, counts as zero. Null where the objective
/// has none, more variables than the limits say (the second where the matrix comes from differences), or float32 cannot
/// tell.
template <class T>
std::optional<Inertia> look_at_hessian(Objective<T>& objective, const T* theta, const T* start, Index limit,
                                       Index difference_limit);
/// Of a step that measured the Hessian's eigenvalues: some are negative, but may no longer be at the stationary point.
bool uncertain(const StepReport& report);

/// "Hessian: 2 positive, 0 zero and 1 negative eigenvalues", and what that means where it is not a minimum.
std::string words_of(const Inertia& inertia);

}  // namespace hso::detail
