// SPDX-License-Identifier: Apache-2.0
//
// From what a command throws to what is said on standard error and the exit code of the process.
#pragma once

#include <functional>
#include <string>

namespace hso::cli {

/// What `work` returns, or the exit code of what it throws (commands.hpp), which is printed. `command` names what was
/// asked for, for errors that know nothing of it.
int exit_code_of(const std::string& command, const std::function<int()>& work);

}  // namespace hso::cli
