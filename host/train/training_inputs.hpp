// SPDX-License-Identifier: Apache-2.0
//
// Model, device and data of a training, before anything depends on the precision.
#pragma once

#include <memory>

#include "backend/process_memory.hpp"
#include "train/data_request.hpp"
#include "train/run_directory.hpp"
#include "train/start.hpp"

namespace hso {

/// Cheap checks come before the reading of data.
struct TrainingInputs {
  TrainingInputs(const TrainOptions& options, const TrainStart& start) {
    if (!options.run_directory.empty()) RunDirectory::check(options.run_directory, options.overwrite || options.resume);
    model = start.model ? *start.model : parse_model(options.model);
    context = Context::create(options.device, {.tf32 = options.tf32, .deterministic = options.deterministic});
    if (start.split != nullptr) {
      check_input(model, start.split->train.input_shape);
      if (start.standardizer) data.standardizer = *start.standardizer;
      return;
    }
    before = {};
    DataRequest request = data_request(options, start.class_names);
    request.standardizer = start.standardizer;
    request.fitted_on = options.start.empty() ? "an earlier training part" : "the training part of " + options.start;
    data = prepare_data(model, options.loss, request);
  }
  ModelSpec model;
  std::unique_ptr<Context> context;
  detail::MemoryMark before{};  ///< before the data are read
  PreparedData data{{}, {{0.0}, {1.0}}, {}};
};

}  // namespace hso
