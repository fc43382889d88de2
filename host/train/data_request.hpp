// SPDX-License-Identifier: Apache-2.0
//
// From the options of a training to what prepare_data is asked for.
#pragma once

#include "hsogpu/train/train.hpp"
#include "train/saved_run.hpp"

namespace hso {

/// The data that the options name, as a training reads it. `class_names`: of the network's training data.
DataRequest data_request(const TrainOptions& options,
                         const std::optional<std::vector<std::string>>& class_names = std::nullopt);

/// The same, scaled as the run did.
DataRequest data_request(const TrainOptions& options, const SavedRun& run);

}  // namespace hso
