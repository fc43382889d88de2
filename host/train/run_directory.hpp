// SPDX-License-Identifier: Apache-2.0
//
// The folder of a training run:
//
//   config.toml         the resolved options: `hso train --config` repeats the run
//   env.json            version, device, libraries, core type, threads, time, seed, command line
//   model.toml          the network; standardizer.json: the input scaling, so that new data is scaled alike
//   data.json           what was taken from the data: columns, classes and their names, ranges, scaling
//   metrics.jsonl       one object for each evaluation, flushed line by line
//   result.json         at the end: why the training stopped, after how many steps, and which of them theta is of
//   theta.npy, model.safetensors                   the trained parameters, flat and by name
//   mask.safetensors                               of a training under a mask: U8 tensors by name, 1 kept, 0 removed
//   checkpoints/step_N                             what a resumed training begins with (train/checkpoint_files.hpp)
//
// A comparison (hsogpu/train/compare.hpp) has config.toml, env.json, comparison.json, comparison.svg and
// comparison.txt.
//
//   .hso-lock           while a process writes to the folder (RunLock)
//
// Every file but metrics.jsonl appears whole or not at all, and so does every step_N.
// Errors: InputError (path, why) for what cannot be created, MemoryError for a full disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hsogpu/train/train.hpp"
#include "io/file.hpp"
#include "train/run_lock.hpp"
#include "train/schedule.hpp"

namespace hso {

class RunDirectory {
 public:
  /// Throws what the constructor would, as far as that can be told without touching the disk.
  static void check(const std::string& path, bool overwrite);

  /// UsageError "<what>: ..." when writing a run to `path` would remove `read`, which is that folder or lies in it.
  static void require_other(const std::string& what, const std::string& path, const std::string& read);

  /// Creates the folder and locks it (RunLock): what another process writes to is refused. "###" in the last part of
  /// the path becomes the first free number ("digits-hso-001"). A folder with a run in it (config.toml and env.json) is
  /// refused without `overwrite`; one with the beginning of a run that was killed before it had these (its lock's file
  /// is still there) is taken in any case. A folder with anything else in it is an InputError.
  RunDirectory(const std::string& path, bool overwrite);
  /// Removes what the constructor created, unless `keep` was called.
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  /// Removes the run that was in the folder. Before the first file: until then the old one is whole.
  void clear();

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  void append_metrics(const TrainRecord& record);
  /// Adds a line to a file of the run with one write: a reader never sees half of one.
  void append_line(const std::string& name, const std::string& line);
  /// Drops the lines of a .jsonl file behind this step, and what a killed process left of a last one.
  void drop_lines_behind(const std::string& name, Index step);
  void keep() { created_ = false; }

 private:
  std::string path_, existing_;  ///< the part of it that was there
  bool created_ = false;
  std::optional<RunLock> lock_;
};

/// One line of metrics.jsonl, without the line feed; what is not finite or not there becomes null.
std::string metrics_line(const TrainRecord& record);

}  // namespace hso
