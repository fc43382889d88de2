// SPDX-License-Identifier: Apache-2.0
//
// Where a training that was stopped goes on.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "train/checkpoint_files.hpp"

namespace hso {

struct ResumePoint {
  Index step = 0;
  std::string folder;    ///< the checkpoint
  TrainOptions options;  ///< config.toml of the run
  TrainStart start;      ///< model, theta, mask and class names of the run
  Standardizer standardizer;
  std::string data;  ///< data.json; empty where the run has none
  RawTensors state;  ///< state.safetensors
};

/// From the last whole checkpoint of options.run_directory; nothing where the run has no checkpoint yet. A damaged one
/// is passed over with a note. InputError where there is no run, where no checkpoint is whole, and for a checkpoint of
/// another format or model: names what differs.
std::optional<ResumePoint> find_resume_point(const TrainOptions& options,
                                             const std::function<void(const std::string&)>& note);

/// UsageError names the first option in which a training differs from the run that it is to continue. Both resolved.
/// When to stop and what to keep may differ.
void require_same_training(const TrainOptions& asked, const ResumePoint& run);
/// InputError where the data are not those that the run began with.
void require_same_data(const DataDescription& description, const Standardizer& standardizer, const ResumePoint& run);

}  // namespace hso
