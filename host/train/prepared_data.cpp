// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/data/prepared_data.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string_view>

#include "data/description.hpp"
#include "hsogpu/core/error.hpp"
#include "nn/class_steps.hpp"

namespace hso {

namespace {

/// [steps, bands], where the sample of a model is that or [1, steps, bands].
Shape frames_of(const Shape& input) { return input.rank() == 3 && input[0] == 1 ? Shape{input[1], input[2]} : input; }

/// What model and loss want of the data.
DataOptions options_for(const ModelSpec& model, LossKind loss, const DataRequest& request, bool tokens) {
  DataOptions options = request.options;
  const Shape frames = frames_of(model.input);
  if (tokens || frames.rank() == 2) options.window = frames[0];
  if (frames.rank() == 2) options.bands = frames[1];
  if (request.reconstruct) return options;
  const Shape output = summarize(model).back().output;
  options.outputs = class_outputs(loss, output);
  options.steps = labels_steps(loss, output) ? output[0] : 0;
  if (loss == LossKind::cross_entropy) options.targets = Targets::classes;
  if ((loss == LossKind::squared_error || loss == LossKind::huber) && options.outputs == 1)
    options.targets = Targets::values;
  if (loss == LossKind::bce && options.outputs == 1) options.outputs = 2;  // one output tells two classes apart
  return options;
}

/// Where a value becomes infinite as float32.
void check_single(const char* what, const std::string& source, const std::vector<double>& values, Index width) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::abs(values[i]) > static_cast<double>(std::numeric_limits<float>::max()))
      throw InputError(fmt::format("{}: sample {}: {} {} is {:g}, which does not fit float32: take precision float64{}",
                                   source, static_cast<Index>(i) / width, what, static_cast<Index>(i) % width,
                                   values[i], std::string_view(what) == "input" ? " or another scaling" : ""));
}

}  // namespace

PreparedData prepare_data(const ModelSpec& model, LossKind loss, const DataRequest& request) {
  const bool tokens = vocabulary(model) > 0;
  const DataOptions options = options_for(model, loss, request, tokens);
  PreparedData out;
  if (request.part == DataPart::all)
    out.split.train = load_all(request.data, options);
  else
    out.split = load_data(request.data, request.test_fraction, request.seed, options);
  if (request.part == DataPart::train) out.split.test = {};
  Dataset &train = out.split.train, &test = out.split.test;
  for (const Dataset* part : {&train, &test})
    if (part->size > 0) part->validate();
  check_input(model, train.input_shape);
  DataDescription& d = out.description = describe(request.data, out.split, request.reconstruct);
  const Scaling scaling = tokens ? Scaling::none : request.scaling;
  if (tokens) d.source.notes.emplace_back("the inputs are tokens, which are not scaled");
  out.standardizer = request.standardizer ? *request.standardizer : Standardizer::fit(train, scaling);
  d.scaling = scaling;
  d.fitted_on = request.standardizer ? request.fitted_on : test.size > 0 ? "the training part" : "these rows";
  for (Dataset* part : {&train, &test}) {
    if (part->size == 0) continue;
    out.standardizer.apply(*part);
    if (request.reconstruct) part->reconstruct();
    if (!request.single) continue;
    check_single("input", part->name, part->inputs, part->input_shape.size());
    check_single("target", part->name, part->targets, part->target_shape.size());
  }
  d.scaled = range_of(train.inputs, test.inputs);
  return out;
}

}  // namespace hso
