// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "hsogpu/data.hpp"

namespace hso {

/// Largest label plus one. InputError (starting with `source`) when most of those classes never occur although there
/// are samples enough for each: a damaged or unnumbered label column would otherwise make a huge network.
/// `targets` holds whole numbers from 0.
Index count_classes(const std::string& source, Span<const double> targets);

/// InputError (starting with `source`) that names the sample and the position in it of the first NaN or infinity.
/// `width`: values of one sample.
void check_finite(const std::string& source, const char* what, Span<const double> values, Index width);

}  // namespace hso
