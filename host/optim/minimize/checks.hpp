// SPDX-License-Identifier: Apache-2.0
//
// What minimize refuses before it evaluates anything: UsageErrors.
#pragma once

#include "hsogpu/optim/minimize.hpp"

namespace hso::detail {

/// Options outside their ranges.
void check_options(const MinimizeOptions& options);

/// A theta that is not one vector of contiguous numbers.
template <class T>
void check_one_piece(const View<T>& theta);

}  // namespace hso::detail
