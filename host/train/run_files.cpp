// SPDX-License-Identifier: Apache-2.0
#include "train/run_files.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <omp.h>

#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "backend/blas.hpp"
#include "backend/loaded_libraries.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/version.hpp"
#include "train/mask_file.hpp"

namespace hso {
namespace {

using Json = nlohmann::ordered_json;

/// The arguments of this process; empty where there is no /proc.
std::vector<std::string> command_line() {
  std::string text;
  try {
    text = read_text("/proc/self/cmdline");
  } catch (const Error&) {
    return {};
  }
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < text.size(); begin = text.find('\0', begin) + 1) {
    words.emplace_back(text.c_str() + begin);
    if (text.find('\0', begin) == std::string::npos) break;
  }
  return words;
}

Json environment() {
  return {{"version", HSOGPU_VERSION},
          {"libraries", detail::loaded_libraries()},
          {"core_type", openblas_get_corename()},
          {"threads", omp_get_max_threads()},
          {"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
          {"command_line", command_line()}};
}

std::string to_text(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

std::string env_json(const RunDescription& run) {
  Json env = environment();
  env["device"] = run.context->name();
  env["device_description"] = run.context->description();
  env["seed"] = run.options.seed;
  env["train_samples"] = run.train_samples;
  env["test_samples"] = run.test_samples;
  return to_text(env) + "\n";
}

std::string standardizer_json(const RunDescription& run) {
  const Json json{{"scaling", scaling_name(run.options.scaling)},
                  {"mean", run.standardizer.mean},
                  {"scale", run.standardizer.scale}};
  return json.dump() + "\n";
}

std::vector<NamedTensor> named_tensors(const SavedPoint& point) {
  std::vector<NamedTensor> tensors;
  const auto add = [&](Span<const double> numbers, const std::vector<ParameterInfo>& infos) {
    for (const ParameterInfo& p : infos)
      tensors.push_back(
          {p.name, p.shape,
           numbers.subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.shape.size()))});
  };
  add(point.theta, point.model.parameters);
  add(point.statistics, point.model.statistics);
  return tensors;
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json to_json(const MetricValue& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

}  // namespace

std::string environment_json() { return to_text(environment()); }

void write_description(const RunDirectory& directory, const RunDescription& run) {
  write_text_atomically(directory.file("config.toml"), to_toml(run.options));
  write_text_atomically(directory.file("env.json"), env_json(run));
  write_text_atomically(directory.file("model.toml"), to_toml(run.model));
  write_text_atomically(directory.file("standardizer.json"), standardizer_json(run));
  if (run.data != nullptr) write_text_atomically(directory.file("data.json"), run.data->json() + "\n");
}

void write_tensors(const std::string& folder, const SavedPoint& point) {
  const TrainOptions& options = point.model.options;
  write_safetensors(folder + "/model.safetensors", named_tensors(point), options.precision,
                    {{"model", options.model}, {"format", "hso " HSOGPU_VERSION}});
  if (!point.model.mask.kept.empty())
    write_mask(folder + "/mask.safetensors", point.model.mask, point.model.parameters);
}

void write_parameters(const RunDirectory& directory, const SavedPoint& point) {
  const Shape shape{static_cast<Index>(point.theta.size())};
  if (point.model.options.precision == "float64") {
    write_npy<double>(directory.file("theta.npy"), shape, point.theta);
  } else {
    const std::vector<float> rounded(point.theta.begin(), point.theta.end());
    write_npy<float>(directory.file("theta.npy"), shape, rounded);
  }
  write_tensors(directory.path(), point);
}

void write_result(const RunDirectory& directory, const TrainResult& result, Index steps) {
  const Json json{{"stop_reason", result.stop_reason}, {"steps", steps},
                  {"accepted", result.accepted_steps}, {"trials", result.trials},
                  {"kept_step", result.last.step},     {"seconds", result.seconds}};
  write_text_atomically(directory.file("result.json"), json.dump() + "\n");
}

std::string metrics_line(const TrainRecord& record) {
  Json line;
  line["step"] = record.step;
  line["epoch"] = record.epoch;
  const auto put = [&line](const std::string& part, const Evaluation& evaluation) {
    line[part + "_loss"] = number_or_null(evaluation.loss);
    line[part + "_accuracy"] = evaluation.accuracy < 0 ? Json(nullptr) : Json(evaluation.accuracy);
  };
  put("train", record.train);
  put("test", record.test);
  line["seconds"] = record.seconds;
  line["processor_seconds"] = record.processor_seconds;
  line["gradient_equivalents"] = record.gradient_equivalents;
  line["objective"] = number_or_null(record.objective);
  if (record.step == 0) return line.dump();
  const StepReport& report = record.report;
  line["status"] = name_of(report.status);
  line["loss_before"] = number_or_null(report.loss_before);
  line["loss_after"] = number_or_null(report.loss_after);
  line["gradient_norm"] = number_or_null(report.gradient_norm);
  line["step_norm"] = number_or_null(report.step_norm);
  line["trials"] = report.trials;
  line["gradients"] = report.gradients;
  line["products"] = report.products;
  if (!report.message.empty()) line["message"] = report.message;
  for (const auto& [name, value] : report.metrics) line[name] = to_json(value);
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hso
