// SPDX-License-Identifier: Apache-2.0
//
// Where a training starts: parameters, mask and scaling of an earlier run, or fresh parameters.
#pragma once

#include "hsogpu/train/train.hpp"

namespace hso {

/// What `options.start` names, checked against the model. UsageError where the run directory is the run itself;
/// InputError for a start of another model: names the tensor and both shapes.
TrainStart load_start(const TrainOptions& options);

/// Parameters of a training from `start` of a network, removed ones 0. InputError when theta, mask and network differ
/// in size.
std::vector<double> starting_parameters(const TrainStart& start, const std::vector<ParameterInfo>& parameters,
                                        const TrainOptions& options);

}  // namespace hso
