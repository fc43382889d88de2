// SPDX-License-Identifier: Apache-2.0
//
// A run directory read back: what `hso eval --checkpoint RUN` and the derivative commands start from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hsogpu/data/io.hpp"
#include "hsogpu/train/train.hpp"

namespace hso {

struct SavedRun {
  TrainOptions options;       ///< config.toml
  ModelSpec model;            ///< model.toml, with the running statistics beside theta
  Standardizer standardizer;  ///< fitted on the run's training part
  std::vector<double> theta;  ///< the last parameters, or those of the checkpoint that was named
  /// Of its training data, for more data of the kind: DataOptions::class_names. Nothing for values.
  std::optional<std::vector<std::string>> class_names;
  Mask mask;  ///< the one beside theta, whose removed parameters are 0; empty: none
};

/// `path` is a run directory (without final parameters: its last checkpoint) or one of its checkpoints/step_N.
/// InputError names the file that is missing or wrong: options that are not all there, a scale that is not above 0,
/// parameters that are not finite.
SavedRun load_run(const std::string& path);
/// The same with the parameters that lie in one of its folders.
SavedRun load_run_at(const std::string& run, const std::string& folder_of_parameters);
/// config.toml of a run that may have neither parameters nor a checkpoint yet.
TrainOptions load_run_config(const std::string& run);
/// The options alone.
TrainOptions load_run_options(const std::string& path);

/// The flat theta of named tensors that were read from `source`; InputError names the tensor that is missing, unknown
/// or has another shape.
std::vector<double> tensors_of(const SafeTensors& tensors, const std::string& source,
                               const std::vector<ParameterInfo>& parameters);

struct LoadedParameters {
  std::vector<double> theta;
  std::vector<double> statistics{};  ///< of a .safetensors file, for ModelSpec::statistics
  std::vector<std::string> notes{};  ///< of tensors that were left out or taken by another name
};
/// theta.npy, or a .safetensors file with the tensors of the model, `statistics` (Network::statistics) included, under
/// its names or those of another program (train/parameter_names.hpp). InputError for another length, or names the
/// tensor that is missing, unknown, of another shape, of integers, or not finite.
LoadedParameters load_parameters(const std::string& path, const std::vector<ParameterInfo>& parameters,
                                 const std::vector<ParameterInfo>& statistics = {});

}  // namespace hso
