// SPDX-License-Identifier: Apache-2.0
//
// The parts of the page, one function each; "" where no run has anything for it. Run `i` has colour `i` in all of them.
#pragma once

#include <string>
#include <vector>

#include "report/run_log.hpp"

namespace hso::report {

using Runs = std::vector<RunLog>;

/// Final numbers, a run a row; the best of a column is marked where there are several.
std::string summary_section(const Runs& runs);
/// Loss and accuracy, over steps, seconds and gradient-equivalents.
std::string training_section(const Runs& runs);
/// Damping, norms, and everything else that the methods tell.
std::string method_section(const Runs& runs);
std::string spectrum_section(const Runs& runs);
std::string prune_section(const Runs& runs);
/// What the runs differ in, and below it what they have in common.
std::string config_section(const Runs& runs);
std::string notes_section(const Runs& runs);

}  // namespace hso::report
