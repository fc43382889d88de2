// SPDX-License-Identifier: Apache-2.0
//
// Runs for TensorBoard: what metrics.jsonl and spectra.jsonl have as numbers.
#pragma once

#include <string>
#include <vector>

#include "report/run_log.hpp"

namespace hso::report {

/// The event file of a run. Tags: loss/train, accuracy/test, cost/seconds, method/delta, spectrum/all/largest. The wall
/// time of a record is the start of the run and the seconds spent in steps until then. Null has no event.
std::string tensorboard_events(const RunLog& run);

/// Writes FOLDER/NAME/events.out.tfevents.STARTED.hso for each run, making folders; another call replaces the files.
/// Returns the paths. InputError for a run without records, and for folders that cannot be made.
std::vector<std::string> write_tensorboard(const std::vector<RunLog>& runs, const std::string& folder);

}  // namespace hso::report
