// SPDX-License-Identifier: Apache-2.0
#include "report/run_log.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/file.hpp"
#include "io/shown_text.hpp"
#include "report/json_lines.hpp"
#include "report/prune_log.hpp"
#include "train/fields.hpp"
#include "train/options_toml.hpp"

namespace hso::report {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 7> kFiles = {"config.toml",   "env.json",    "data.json", "metrics.jsonl",
                                               "spectra.jsonl", "result.json", "prune.json"};

std::string file_of(const std::string& path, const char* name) { return (fs::path(path) / name).string(); }

/// Values of other kinds, as the lists and objects of a later version, are left out.
void take_metrics(RunLog& run, const Json& object, const std::string& where) {
  const std::size_t record = run.step.size();
  run.step.push_back(required_number(object, "step", where));
  run.seconds.push_back(number_at(object, "seconds", where));
  run.gradient_equivalents.push_back(number_at(object, "gradient_equivalents", where));
  for (const auto& [name, value] : object.items()) {
    if (name == "step" || name == "seconds" || name == "gradient_equivalents") continue;
    if (name == "status" && value.is_string() && value.get<std::string>() != "accepted") ++run.rejected;
    if (!value.is_number() && !value.is_null() && !value.is_boolean()) continue;
    auto at = std::find_if(run.metrics.begin(), run.metrics.end(), [&](const Metric& m) { return m.name == name; });
    if (at == run.metrics.end()) at = run.metrics.insert(at, Metric{name});
    at->samples.push_back({record, number_at(object, name, where)});
  }
}

SpectrumLine spectrum_of(const Json& object, const std::string& where) {
  SpectrumLine line;
  line.step = required_number(object, "step", where);
  const auto layer = object.find("layer"), values = object.find("eigenvalues");
  if (layer == object.end() || !layer->is_string() || values == object.end() || !values->is_array())
    throw InputError(fmt::format("{}: expected a spectrum with layer and eigenvalues", where));
  line.layer = layer->get<std::string>();
  for (const Json& value : *values)
    if (value.is_number()) line.eigenvalues.push_back(value.get<double>());
  if (const auto trace = object.find("trace"); trace != object.end() && trace->is_object()) {
    line.trace = number_at(*trace, "value", where);
    line.trace_error = number_at(*trace, "standard_error", where);
  }
  if (const auto norm = object.find("frobenius_squared"); norm != object.end() && norm->is_object())
    line.frobenius_squared = number_at(*norm, "value", where);
  return line;
}

/// What a killed process leaves of a line is no fault of the file.
void read_lines(RunLog& run, const char* name, const std::function<void(const Json&, const std::string&)>& take) {
  const std::string path = file_of(run.path, name);
  if (is_there(path) && !for_each_line(path, take))
    run.notes.push_back(fmt::format("{}: the last line is cut off, and is left out", name));
}

/// Seconds since 1970 of "2026-11-30T22:42:42Z".
double time_of(const std::string& text) {
  std::tm time{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &time);
  return end == nullptr || *end != '\0' ? kNone : static_cast<double>(::timegm(&time));
}

Json read_object(const std::string& path) { return parse_object(read_text(path), path); }

void read_options(RunLog& run) {
  const std::string path = file_of(run.path, "config.toml");
  apply_toml(run.options, read_text(path), path);
  for (const TrainField& field : train_fields()) run.config.emplace_back(field.key, field_text(run.options, field));
  for (const auto& [name, value] : run.options.optimizer_settings) run.config.emplace_back("optimizer." + name, value);
}

void read_environment(RunLog& run) {
  const std::string path = file_of(run.path, "env.json");
  if (!is_there(path)) return;
  const Json env = read_object(path);
  for (const char* key : {"version", "device_description", "threads", "train_samples", "test_samples", "time"})
    if (const auto at = env.find(key); at != env.end())
      run.environment.emplace_back(key, at->is_string() ? at->get<std::string>() : at->dump());
  if (const auto at = env.find("time"); at != env.end() && at->is_string())
    run.started = time_of(at->get<std::string>());
}

/// Of the training whose last record is there: the file of an earlier one stays until the next has ended.
void read_result(RunLog& run) {
  const std::string path = file_of(run.path, "result.json");
  if (!is_there(path)) return;
  const Json json = read_object(path);
  if (run.step.empty() || number_at(json, "steps", path) != run.step.back()) return;
  if (const auto at = json.find("stop_reason"); at != json.end() && at->is_string())
    run.stop_reason = at->get<std::string>();
  run.kept_step = number_at(json, "kept_step", path);
}

std::string end_of(const fs::path& path, std::size_t parts) {
  fs::path out;
  fs::path rest = path;
  for (; parts > 0 && rest.has_relative_path(); --parts, rest = rest.parent_path()) out = rest.filename() / out;
  const std::string text = out.string();
  return text.empty() ? "/" : text.substr(0, text.find_last_not_of('/') + 1);
}

/// Without ".", ".." and the slash at the end.
fs::path whole(const std::string& path) {
  const fs::path out = fs::absolute(path).lexically_normal();
  return out.has_filename() ? out : out.parent_path();
}

}  // namespace

const Metric* RunLog::find(const std::string& wanted) const {
  const auto at = std::find_if(metrics.begin(), metrics.end(), [&](const Metric& m) { return m.name == wanted; });
  return at == metrics.end() ? nullptr : &*at;
}

double RunLog::final_value(const std::string& wanted) const {
  const Metric* metric = find(wanted);
  if (metric == nullptr) return kNone;
  for (const Metric::Sample& s : metric->samples)
    if (step[s.record] == kept_step) return s.value;
  return metric->samples.back().value;
}

RunLog read_run(const std::string& path) {
  RunLog run;
  run.path = path;
  run.name = end_of(whole(path), 1);
  std::error_code failed;
  if (!fs::is_directory(path, failed))
    throw InputError(fmt::format("{}: no such folder, expected a run directory", path));
  if (is_there(file_of(path, "comparison.json")))
    throw InputError(
        fmt::format("{}: holds a comparison, whose picture is comparison.svg; expected a run of hso train "
                    "or hso prune",
                    path));
  if (!is_there(file_of(path, "config.toml")) ||
      (!is_there(file_of(path, "metrics.jsonl")) && !is_there(file_of(path, "prune.json"))))
    throw InputError(
        fmt::format("{}: found no config.toml with metrics.jsonl or prune.json, expected a run directory", path));
  read_options(run);
  read_lines(run, "metrics.jsonl", [&](const Json& o, const std::string& where) { take_metrics(run, o, where); });
  read_lines(run, "spectra.jsonl",
             [&](const Json& o, const std::string& where) { run.spectra.push_back(spectrum_of(o, where)); });
  read_result(run);
  if (const std::string prune = file_of(path, "prune.json"); is_there(prune)) {
    const Json json = read_object(prune);
    run.prune = prune_log(json, prune);
    for (auto& setting : prune_config(json)) run.config.push_back(std::move(setting));
  }
  read_environment(run);
  return run;
}

std::vector<RunLog> read_runs(const std::vector<std::string>& paths) {
  std::vector<RunLog> runs;
  for (const std::string& path : paths) {
    for (const RunLog& other : runs)
      if (whole(other.path) == whole(path)) throw UsageError(fmt::format("RUN: {} is there twice", shown(path)));
    runs.push_back(read_run(path));
  }
  for (RunLog& run : runs) {
    const auto is_shared = [&](std::size_t parts) {
      return std::count_if(runs.begin(), runs.end(), [&](const RunLog& other) {
               return end_of(whole(other.path), parts) == end_of(whole(run.path), parts);
             }) > 1;
    };
    std::size_t parts = 1;
    while (is_shared(parts)) ++parts;
    run.name = end_of(whole(run.path), parts);
  }
  return runs;
}

std::vector<std::string> files_of_run(const std::string& path) {
  std::vector<std::string> out;
  for (const char* name : kFiles) out.push_back(file_of(path, name));
  return out;
}

}  // namespace hso::report
