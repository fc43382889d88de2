// SPDX-License-Identifier: Apache-2.0
#include "cli/common.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/shown_text.hpp"
#include "train/data_request.hpp"
#include "train/fields.hpp"
#include "train/options_toml.hpp"
#include "train/saved_run.hpp"

namespace hso::cli {
namespace {

const TrainField& field_of(const std::string& key) {
  const TrainField* field = find_train_field(key);
  if (field == nullptr) throw UsageError(fmt::format("OptionLayers: '{}' is no training option", key));
  return *field;
}

bool is_list(const TrainField& field) {
  return std::holds_alternative<std::vector<std::string> TrainOptions::*>(field.member);
}

/// Empty variables count as unset, as in a shell script.
std::optional<std::string> variable(const TrainField& field) {
  const char* value = std::getenv(field.variable().c_str());
  return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

OptionLayers::OptionLayers(Command& command, const std::vector<std::string>& keys) : keys_(keys) {
  const TrainOptions defaults;
  for (const std::string& key : keys_) {
    const TrainField& field = field_of(key);
    command.group(field.group);
    if (field.value.empty()) {
      declared_[key] = &command.flag(field.flag(), switches_[key], field.help);
      continue;
    }
    const std::string usual = field_text(defaults, field);
    const bool none = usual.empty() && (field.optional || is_list(field));
    Option& option = command.option(field.flag() + " " + field.value, flags_[key],
                                    none ? field.help : fmt::format("{} [{}]", field.help, usual));
    declared_[key] = &option.words(field.words);
    // A script adds a flag to what its caller gave.
    is_list(field) ? option.joined() : option.last_counts();
  }
  command.group(kFiles);
  command.option("--config FILE.toml", config_, "these options, as in a run's config.toml");
}

std::string OptionLayers::text_of(const std::string& key) const {
  if (!field_of(key).value.empty()) return flags_.at(key);
  return switches_.at(key) ? "true" : "false";  // --tf32, or --tf32=false
}

TrainOptions OptionLayers::resolve(TrainOptions base) const {
  if (!config_.empty()) apply_toml(base, read_text(config_), config_);
  for (const std::string& key : keys_)
    if (const auto value = variable(field_of(key))) set_field(base, field_of(key), *value, field_of(key).variable());
  for (const std::string& key : keys_)
    if (declared_.at(key)->given()) set_field(base, field_of(key), text_of(key), field_of(key).flag());
  return base;
}

bool OptionLayers::given(const std::string& key) const {
  return declared_.at(key)->given() || variable(field_of(key)).has_value();
}

bool OptionLayers::set_anywhere(const std::string& key) const {
  if (given(key)) return true;
  if (config_.empty()) return false;
  TrainOptions ignored;
  const auto keys = apply_toml(ignored, read_text(config_), config_);
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

namespace {

const std::vector<std::string>& problem_keys() {
  static const std::vector<std::string> keys{"model",     "data",    "label",          "header",        "separator",
                                             "loss",      "scaling", "initialization", "reconstruct",   "weight_decay",
                                             "precision", "device",  "tf32",           "deterministic", "seed"};
  return keys;
}

/// Scaled as the run did when there is one and nothing else is asked for.
DataRequest request_of(const TrainOptions& options, const SavedRun* run) {
  if (run == nullptr) {
    DataRequest out = data_request(options);
    out.part = DataPart::all;
    return out;
  }
  const bool as_run = options.scaling == run->options.scaling;
  DataRequest out = as_run ? data_request(options, *run) : data_request(options, run->class_names);
  out.part = options.data == run->options.data ? DataPart::train : DataPart::all;
  out.test_fraction = run->options.test_fraction;
  out.seed = run->options.seed;
  return out;
}

}  // namespace

ProblemOptions::ProblemOptions(Command& command) : layers_(command, problem_keys()) {
  command.group("network");
  command.option("--params FILE", params_,
                 "theta: .npy of n numbers, or .safetensors with the model's tensors (a PyTorch state dict's names are "
                 "taken where they tell the layers apart)");
  command.option("--checkpoint RUN", checkpoint_, "run directory, or one of its checkpoints/step_N");
  command.flag("--training", training_,
               "f as a training step has it: batchnorm with the statistics of the rows, dropout on");
}

Problem ProblemOptions::load() const {
  Problem p;
  p.training = training_;
  std::optional<SavedRun> run;
  if (!checkpoint_.empty()) run = load_run(checkpoint_);
  if (run) p.options = run->options;
  p.options.device = TrainOptions{}.device;  // a run made on a GPU can be read where there is none
  p.options = layers_.resolve(p.options);
  forget_csv_options(p.options, layers_);
  check_train_options(p.options);
  const bool own_model = !run || p.options.model != run->options.model;
  p.model = own_model ? parse_model(p.options.model) : run->model;
  set_parameters(p, own_model ? nullptr : &*run);
  PreparedData data = prepare_data(p.model, p.options.loss, request_of(p.options, run ? &*run : nullptr));
  p.data = std::move(data.split.train);
  p.reading_bytes = p.before.most_growth();
  p.description = std::move(data.description);
  print_data(p.description);
  return p;
}

std::vector<NamedPath> ProblemOptions::inputs() const {
  const TrainOptions given = layers_.resolve();
  std::vector<NamedPath> out = data_paths("--data", given.data);
  if (!checkpoint_.empty()) {
    const TrainOptions run = load_run_options(checkpoint_);
    for (NamedPath& path : data_paths("the run's --data", run.data)) out.push_back(std::move(path));
    out.push_back({"the run's --model", run.model});
  }
  out.insert(
      out.end(),
      {{"--model", given.model}, {"--params", params_}, {"--config", layers_.config()}, {"--checkpoint", checkpoint_}});
  return out;
}

void ProblemOptions::set_parameters(Problem& p, const SavedRun* run) const {
  const auto network = build_network<double>(p.model, p.options.loss);
  const std::vector<ParameterInfo>& parameters = network.parameters;
  if (!params_.empty()) {
    LoadedParameters loaded = load_parameters(params_, parameters, network.statistics);
    if (!loaded.statistics.empty()) p.model.statistics = std::move(loaded.statistics);
    for (const std::string& note : loaded.notes) fmt::print(stderr, "note: {}\n", shown_message(note));
    p.theta = std::move(loaded.theta);
    p.theta_source = params_;
  } else if (run != nullptr) {
    p.theta = run->theta;
    p.theta_source = checkpoint_;
  } else {
    p.theta = initial_parameters(parameters, p.options.initialization, p.options.seed);
    p.theta_source = fmt::format("{}, seed {}", name_of(p.options.initialization), p.options.seed);
  }
}

void forget_csv_options(TrainOptions& options, const OptionLayers& layers) {
  if (is_csv(options.data)) return;
  const TrainOptions defaults;
  for (const char* key : {"label", "header", "separator"})
    if (!layers.given(key)) set_field(options, field_of(key), field_text(defaults, field_of(key)), key);
}

void print_data(const DataDescription& description) {
  fmt::print(stderr, "{}", shown_message(description.text(), std::string::npos));
}

std::pair<std::string, std::string> split_setting(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw UsageError(fmt::format("--set: found '{}', expected NAME=VALUE", shown(text)));
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace hso::cli
