// SPDX-License-Identifier: Apache-2.0
//
// What a training writes while it runs. Without a run directory every call does nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "train/checkpoint_writer.hpp"
#include "train/run_directory.hpp"
#include "train/run_files.hpp"

namespace hso {

class RunOutput {
 public:
  /// Locks the directory; of a run that goes on it is the one that is there.
  void open(SavedModel model);
  bool is_open() const { return directory_.has_value(); }
  const std::string& path() const { return directory_->path(); }

  /// A new run, in place of one that was there. Until `keep` what goes wrong removes it again.
  void begin(const RunDescription& description);
  void keep() { directory_->keep(); }
  /// The run that is there goes on: lines behind the last record and step are dropped, as is what a killed process left
  /// unfinished, and config.toml gets the options. `more`: steps will be taken, and final parameters of before go.
  void go_on(const TrainOptions& options, Index last_record, Index step, bool more);

  void record(const TrainRecord& record);
  void spectra(const std::vector<std::string>& lines);
  /// Written while the training goes on. Throws what the one before failed with.
  void checkpoint(CheckpointContent content);
  /// The parameters that the training ends with, when all checkpoints are on the disk.
  /// result.json, of `steps` taken, comes last.
  void end(const SavedPoint& point, const TrainResult& result, Index steps);
  void close() { directory_.reset(); }

 private:
  std::optional<RunDirectory> directory_;
  std::optional<CheckpointWriter> writer_;
};

}  // namespace hso
