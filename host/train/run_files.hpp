// SPDX-License-Identifier: Apache-2.0
//
// The files of a run directory (see run_directory.hpp).
#pragma once

#include "train/run_directory.hpp"

namespace hso {

struct Comparison;
struct PruneComparison;

/// What a run knows before its first step.
struct RunDescription {
  TrainOptions options;  ///< resolved
  ModelSpec model;
  Standardizer standardizer;
  Context* context = nullptr;
  Index train_samples = 0, test_samples = 0;
  const DataDescription* data = nullptr;  ///< null: not known, as of data in memory
};

/// What env.json says of any run: version, libraries, core type, threads, time, command line.
std::string environment_json();

/// config.toml, env.json, model.toml, standardizer.json and, where the data is described, data.json.
void write_description(const RunDirectory& directory, const RunDescription& run);

/// What every point of a training is saved with.
struct SavedModel {
  std::vector<ParameterInfo> parameters, statistics;  ///< of the network
  TrainOptions options;
  Mask mask;  ///< empty: none
};
/// What is saved of a point of the training.
struct SavedPoint {
  Span<const double> theta, statistics;
  const SavedModel& model;
};

/// model.safetensors and, with a mask, mask.safetensors.
void write_tensors(const std::string& folder, const SavedPoint& point);
/// theta.npy and these.
void write_parameters(const RunDirectory& directory, const SavedPoint& point);

/// result.json. `steps`: taken when it ended, as in the last line of metrics.jsonl.
void write_result(const RunDirectory& directory, const TrainResult& result, Index steps);

/// What write_comparison and write_prune_comparison write, to a folder that was locked when the comparison began.
void write_comparison(const Comparison& comparison, RunDirectory& directory);
void write_comparison(const PruneComparison& comparison, RunDirectory& directory);

}  // namespace hso
