// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace hso::cli {

/// The optimizers with their options and defaults, from optimizer_table().
std::string optimizer_help();

/// Exit codes and the precedence of options.
std::string exit_code_help();

}  // namespace hso::cli
