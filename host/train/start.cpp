// SPDX-License-Identifier: Apache-2.0
#include "train/start.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "hsogpu/core/error.hpp"
#include "train/run_directory.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

using Parameters = std::vector<ParameterInfo>;

/// Parameters, then running statistics.
Parameters tensors_of(const ModelSpec& model, LossKind loss) {
  const auto network = build_network<double>(model, loss);
  Parameters all = network.parameters;
  all.insert(all.end(), network.statistics.begin(), network.statistics.end());
  return all;
}

void require_same(const TrainOptions& options, const Parameters& saved, const Parameters& wanted) {
  const auto tensor = [](const Parameters& parameters, std::size_t i) {
    return i < parameters.size() ? fmt::format("{} {}", parameters[i].name, parameters[i].shape.to_string()) : "none";
  };
  for (std::size_t i = 0; i < std::max(saved.size(), wanted.size()); ++i)
    if (tensor(saved, i) != tensor(wanted, i))
      throw InputError(fmt::format("start {}: tensor {} is {}, expected {} as model {} has", options.start, i,
                                   tensor(saved, i), tensor(wanted, i), options.model));
}

}  // namespace

TrainStart load_start(const TrainOptions& options) {
  SavedRun run = load_run(options.start);
  RunDirectory::require_other("start " + options.start, options.run_directory, run.options.run_directory);
  TrainStart out;
  const bool same_model = options.model == run.options.model;
  out.model = same_model ? run.model : parse_model(options.model);
  if (!same_model) {
    require_same(options, tensors_of(run.model, run.options.loss), tensors_of(*out.model, options.loss));
    out.model->statistics = std::move(run.model.statistics);
  }
  out.theta = std::move(run.theta);
  out.mask = std::move(run.mask);
  out.class_names = std::move(run.class_names);
  if (options.scaling == run.options.scaling) out.standardizer = std::move(run.standardizer);
  return out;
}

std::vector<double> starting_parameters(const TrainStart& start, const Parameters& parameters,
                                        const TrainOptions& options) {
  std::vector<double> theta = initial_parameters(parameters, options.initialization, options.seed);
  const auto require_size = [&](const char* what, std::size_t size) {
    if (size != 0 && size != theta.size())
      throw InputError(
          fmt::format("train: a start with {} of {} parameters, the model has {}", what, size, theta.size()));
  };
  require_size("theta", start.theta.size());
  require_size("a mask", start.mask.kept.size());
  if (!start.theta.empty()) theta = start.theta;
  for (std::size_t i = 0; i < start.mask.kept.size(); ++i)
    if (start.mask.kept[i] == 0) theta[i] = 0;
  return theta;
}

}  // namespace hso
