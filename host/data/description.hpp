// SPDX-License-Identifier: Apache-2.0
//
// Names and ranges for the description of what was read (hsogpu/data/prepared_data.hpp).
#pragma once

#include <string>
#include <vector>

#include "hsogpu/data/prepared_data.hpp"

namespace hso {

/// The name of class c, or its number.
std::string class_name(const DataSource& source, Index c);
/// "'width'", or the number of an input without a name.
std::string input_name(const DataSource& source, Index j);
/// Of both together; 0 and 0 of nothing.
ValueRange range_of(const std::vector<double>& train, const std::vector<double>& test);

}  // namespace hso
