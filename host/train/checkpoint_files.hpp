// SPDX-License-Identifier: Apache-2.0
//
// The folders checkpoints/step_N of a run:
//
//   model.safetensors   parameters and running statistics by name;  mask.safetensors: of a training under a mask
//   state.safetensors   everything else that the next step depends on: the optimizer's state and how far the training
//                       is. Every number with all its bits
//   checkpoint.json     the format, the program's version, the step, and size and CRC-32 of each file
//
// They are written to step_N.tmp, checkpoint.json last, and renamed: a folder step_N is whole. What a killed process
// leaves is a step_N.tmp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "hsogpu/train/train.hpp"
#include "io/raw_tensors.hpp"

namespace hso {

struct SavedModel;

/// Of the members in state.safetensors: raised when a state of before can no longer be read.
inline constexpr int kCheckpointFormat = 1;
inline constexpr const char* kCheckpointMarker = "checkpoint.json";

struct CheckpointInfo {
  int format = kCheckpointFormat;
  std::string version;  ///< of the program that wrote it
  Index step = 0;
  double score = 0;  ///< the lower the better: the test loss, or without a test part the objective; NaN: not evaluated
  std::map<std::string, FileSum> files{};
};

/// N of "step_N", -1 for other names.
Index checkpoint_step(const std::string& name);
/// "RUN/checkpoints/step_N"
std::string checkpoint_folder(const std::string& run, Index step);
/// Ascending; without checkpoint.json too. Empty where there is no such folder.
std::vector<Index> checkpoint_steps(const std::string& run);
/// Reads checkpoint.json. InputError says what is missing or wrong in it.
CheckpointInfo read_checkpoint_info(const std::string& folder);
/// InputError names the file that is missing, or whose size or checksum is another than in checkpoint.json.
void verify_checkpoint(const std::string& folder, const CheckpointInfo& info);
/// Removes the step_N.tmp that a killed process left. Nothing else is touched.
void remove_unfinished_checkpoints(const std::string& run);

/// Removes damaged checkpoints of later steps than this: a training that goes on from here makes them anew. Folders
/// without checkpoint.json are left alone; one that is whole is an InputError: somebody else has gone on.
void remove_later_checkpoints(const std::string& run, Index step);

/// What is written of one point of a training.
struct CheckpointContent {
  Index step = 0;
  double score = 0;
  std::vector<double> theta{}, statistics{};
  RawTensors state{};
  std::map<std::string, std::string> metadata{};  ///< of state.safetensors
};

/// Writes step_N; where a whole one is there already it does nothing, and one that is not whole is replaced. InputError
/// or MemoryError (disk full) names the file and the reason; what was there before is as it was then.
void write_checkpoint(const std::string& run, const CheckpointContent& content, const SavedModel& model);

/// Removes checkpoints that the options do not keep (keep_last, keep_every, keep_best). Folders without checkpoint.json
/// are left alone.
void retire_checkpoints(const std::string& run, const TrainOptions& options);

}  // namespace hso
