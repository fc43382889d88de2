// SPDX-License-Identifier: Apache-2.0
//
// What a training works on, before its precision is chosen: the network's description, the device, and the data.
#pragma once

#include <memory>

#include "hsogpu/error.hpp"
#include "hsogpu/train.hpp"
#include "train/data_request.hpp"
#include "train/run_files.hpp"
#include "train/start.hpp"

namespace hso {

/// What does not depend on the precision. Cheap checks come before the reading of data.
struct TrainInputs {
  TrainInputs(const TrainOptions& options, const TrainStart& start) {
    if (!options.run_directory.empty()) RunDirectory::check(options.run_directory, options.overwrite);
    model = start.model ? *start.model : parse_model(options.model);
    context = Context::create(options.device, {.tf32 = options.tf32, .deterministic = options.deterministic});
    if (start.split != nullptr) {
      check_input(model, start.split->train.input_shape);
      if (start.standardizer) data.standardizer = *start.standardizer;
      return;
    }
    DataRequest request = data_request(options, start.class_names);
    request.standardizer = start.standardizer;
    request.fitted_on = options.start.empty() ? "an earlier training part" : "the training part of " + options.start;
    data = prepare_data(model, options.loss, request);
  }
  ModelSpec model;
  std::unique_ptr<Context> context;
  PreparedData data{{}, {{0.0}, {1.0}}, {}};
};

}  // namespace hso
