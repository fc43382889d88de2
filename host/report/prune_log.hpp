// SPDX-License-Identifier: Apache-2.0
//
// prune.json read back.
#pragma once

#include "report/json_lines.hpp"
#include "report/run_log.hpp"

namespace hso::report {

/// InputError "<path>: ..." for what a pruning does not write.
PruneLog prune_log(const Json& json, const std::string& path);
/// What it was asked for, as text: "prune.score".
std::vector<std::pair<std::string, std::string>> prune_config(const Json& json);

}  // namespace hso::report
