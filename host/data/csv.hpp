// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "hsogpu/data.hpp"

namespace hso {

/// read_csv with the default options; a first line whose fields are all words (each starts with a letter, '_' or a
/// quote and is no number) is a header and is skipped.
Dataset read_csv_with_or_without_header(const std::string& path);

}  // namespace hso
