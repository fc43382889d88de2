// SPDX-License-Identifier: Apache-2.0
#include "train/data_request.hpp"

namespace hso {

DataRequest data_request(const TrainOptions& options, const std::optional<std::vector<std::string>>& class_names) {
  DataRequest out;
  out.data = options.data;
  out.options.header = parse_csv_header(options.header);
  out.options.label = options.label;
  out.options.separator = parse_csv_separator(options.separator);
  out.options.class_names = class_names;
  out.test_fraction = options.test_fraction;
  out.seed = options.seed;
  out.scaling = options.scaling;
  out.reconstruct = options.reconstruct;
  out.single = options.precision == "float32";
  return out;
}

DataRequest data_request(const TrainOptions& options, const SavedRun& run) {
  DataRequest out = data_request(options, run.class_names);
  out.scaling = run.options.scaling;
  out.standardizer = run.standardizer;
  out.fitted_on = "the training part of " + run.options.run_directory;
  return out;
}

}  // namespace hso
