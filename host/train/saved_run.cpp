// SPDX-License-Identifier: Apache-2.0
#include "train/saved_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "io/file.hpp"
#include "io/json_text.hpp"
#include "io/safetensors_header.hpp"
#include "io/shown_text.hpp"
#include "train/checkpoint_files.hpp"
#include "train/mask_file.hpp"
#include "train/options_toml.hpp"
#include "train/parameter_names.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;

Index parameter_count(const std::vector<ParameterInfo>& parameters) {
  Index count = 0;
  for (const ParameterInfo& p : parameters) count = std::max(count, p.offset + p.shape.size());
  return count;
}

/// Far from where scaling by them overflows or divides by what has lost its digits.
void check_standardizer(const Standardizer& s, const std::string& path, Index features) {
  constexpr double kLargest = 1e300, kSmallest = std::numeric_limits<double>::min();
  const std::size_t count = s.mean.size();
  if (count != s.scale.size() || (count != 1 && static_cast<Index>(count) != features))
    throw InputError(fmt::format("{}: found {} means and {} scales, expected 1 or {} of each, as the model has inputs",
                                 path, count, s.scale.size(), features));
  for (std::size_t i = 0; i < count; ++i) {
    if (!(std::abs(s.mean[i]) <= kLargest))
      throw InputError(
          fmt::format("{}: mean {} is {}, expected at most {:g} in magnitude", path, i, s.mean[i], kLargest));
    if (!(s.scale[i] >= kSmallest && s.scale[i] <= kLargest))
      throw InputError(fmt::format("{}: scale {} is {}, expected a number above 0 ({:.3g} to {:g})", path, i,
                                   s.scale[i], kSmallest, kLargest));
  }
}

/// From data.json. Runs without that file had numbers for labels, or nobody knows.
std::optional<std::vector<std::string>> read_class_names(const std::string& path) {
  if (!is_there(path)) return std::nullopt;
  try {
    const auto json = parse_json_text(read_text(path), path);
    const auto& classes = json.at("classes");
    if (!classes.is_number_unsigned())
      throw InputError(
          fmt::format("{}: found {} classes, expected a whole number from 0", path, shown(classes.dump())));
    const auto names = json.value("class_names", std::vector<std::string>{});
    if (classes == 0 && names.empty()) return std::nullopt;
    const std::set<std::string> different(names.begin(), names.end());
    if (!names.empty() && (different.size() != names.size() || names.size() != classes))
      throw InputError(fmt::format("{}: found {} class_names, {} of them different, expected {}, one for each class",
                                   path, names.size(), different.size(), classes.dump()));
    return names;
  } catch (const nlohmann::json::exception& e) {
    throw InputError(fmt::format("{}: {}, expected what a training writes: classes and class_names", path, e.what()));
  }
}

Standardizer read_standardizer(const std::string& path, Index features) {
  const auto json = parse_json_text(read_text(path), path);
  Standardizer out;
  try {
    out = {json.at("mean").get<std::vector<double>>(), json.at("scale").get<std::vector<double>>()};
  } catch (const nlohmann::json::exception&) {
    throw InputError(fmt::format("{}: expected an object with the lists mean and scale, of numbers", path));
  }
  check_standardizer(out, path, features);
  return out;
}

/// The options of a run that is evaluated as it was trained: a file that was cut off would mean the defaults.
TrainOptions read_options(const std::string& path) {
  TrainOptions out;
  const std::vector<std::string> keys = apply_toml(out, read_text(path), path);
  // The optimizer comes last in the file.
  for (const char* key : {"model", "data", "loss", "scaling", "precision", "test_fraction", "seed", "optimizer"})
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      throw InputError(
          fmt::format("{}: {} is missing, expected all options of a run; the file may have been cut off", path, key));
  return out;
}

void require_finite(const std::string& source, const std::vector<double>& theta,
                    const std::vector<ParameterInfo>& parameters) {
  for (const ParameterInfo& p : parameters)
    for (Index i = 0; i < p.shape.size(); ++i)
      if (const double value = theta[static_cast<std::size_t>(p.offset + i)]; !std::isfinite(value))
        throw InputError(
            fmt::format("{}: tensor {} has {} at {}, expected finite numbers", source, p.name, unsigned_nan(value), i));
}

bool is_folder(const fs::path& path) {
  std::error_code failed;
  return fs::is_directory(path, failed);
}
bool has(const fs::path& folder, const char* name) { return is_there((folder / name).string()); }

fs::path last_checkpoint(const fs::path& run) {
  const std::vector<Index> steps = checkpoint_steps(run.string());
  return steps.empty() ? fs::path() : fs::path(checkpoint_folder(run.string(), steps.back()));
}

/// The run directory and the folder whose model.safetensors counts.
std::pair<fs::path, fs::path> locate(const std::string& path) {
  const fs::path folder = fs::path(path).has_filename() ? fs::path(path) : fs::path(path).parent_path();
  if (!is_folder(folder)) throw InputError(fmt::format("{}: no such folder, expected a run directory", path));
  if (has(folder, "config.toml")) {
    if (has(folder, "model.safetensors")) return {folder, folder};
    const fs::path last = last_checkpoint(folder);
    if (last.empty()) throw InputError(fmt::format("{}: found neither model.safetensors nor a checkpoint", path));
    return {folder, last};
  }
  const fs::path run = fs::absolute(folder).parent_path().parent_path();
  if (checkpoint_step(folder.filename().string()) >= 0 && has(run, "config.toml")) return {run, folder};
  throw InputError(fmt::format("{}: found no config.toml, expected a run directory or its checkpoints/step_N", path));
}

}  // namespace

std::vector<double> tensors_of(const SafeTensors& tensors, const std::string& source,
                               const std::vector<ParameterInfo>& parameters) {
  const auto is_one = [&](const std::string& name) {
    return std::any_of(parameters.begin(), parameters.end(), [&](const ParameterInfo& p) { return p.name == name; });
  };
  std::string unknown;
  for (const auto& [name, tensor] : tensors.tensors)
    if (!is_one(name)) unknown = fmt::format("tensor {} is no parameter of the model", shown(name));
  for (const auto& [name, dtype] : tensors.unread) {
    if (is_one(name))
      throw InputError(
          fmt::format("{}: tensor {} has dtype {}, expected {}", source, name, shown(dtype), kSafeTensorsTypes));
    unknown = fmt::format("tensor {} is no parameter of the model", shown(name));
  }
  for (const ParameterInfo& p : parameters) {
    const auto at = tensors.tensors.find(p.name);
    if (at == tensors.tensors.end())
      throw InputError(
          fmt::format("{}: tensor {} is missing{}", source, p.name, unknown.empty() ? "" : ", and " + unknown));
    if (at->second.shape != p.shape)
      throw InputError(fmt::format("{}: tensor {} has shape {}, expected {}", source, p.name,
                                   at->second.shape.to_string(), p.shape.to_string()));
  }
  if (!unknown.empty()) throw InputError(fmt::format("{}: {}", source, unknown));
  // Only now: a model that is not this one may have any size.
  std::vector<double> theta(static_cast<std::size_t>(parameter_count(parameters)));
  for (const ParameterInfo& p : parameters) {
    const std::vector<double>& values = tensors.tensors.at(p.name).values;
    std::copy(values.begin(), values.end(), theta.begin() + p.offset);
  }
  return theta;
}

namespace {

/// "0.weight [4, 2], 0.bias [4]"
std::string names_and_shapes(const SafeTensors& tensors) {
  std::vector<std::string> words;
  for (const auto& [name, tensor] : tensors.tensors)
    words.push_back(fmt::format("{} {}", name, tensor.shape.to_string()));
  return listed(words);
}

std::vector<double> finite_parameters(const SafeTensors& tensors, const std::string& source,
                                      const std::vector<ParameterInfo>& parameters) {
  std::vector<double> theta = tensors_of(tensors, source, parameters);
  for (const auto& [name, tensor] : tensors.tensors)
    if (tensor.integral)
      throw InputError(fmt::format("{}: tensor {} holds integers, expected a floating type", source, name));
  require_finite(source, theta, parameters);
  return theta;
}

/// The running statistics among the tensors, which are taken out of them.
std::vector<double> taken_statistics(SafeTensors& tensors, const std::string& source,
                                     const std::vector<ParameterInfo>& statistics) {
  SafeTensors own;
  for (const ParameterInfo& s : statistics) {
    if (auto tensor = tensors.tensors.extract(s.name)) own.tensors.insert(std::move(tensor));
    if (auto unread = tensors.unread.extract(s.name)) own.unread.insert(std::move(unread));
  }
  std::vector<double> values = finite_parameters(own, source, statistics);
  for (const ParameterInfo& s : statistics)
    for (Index i = 0; s.name.ends_with("running_var") && i < s.shape.size(); ++i)
      if (const double value = values[static_cast<std::size_t>(s.offset + i)]; value < 0)
        throw InputError(
            fmt::format("{}: tensor {} has {} at {}, expected variances, at least 0", source, s.name, value, i));
  return values;
}

/// Where a name does not fit, both lists of names say more than the first of them.
std::vector<double> named_parameters(const SafeTensors& tensors, const std::string& source,
                                     const std::vector<ParameterInfo>& parameters) {
  SafeTensors expected;
  bool known = tensors.tensors.size() == parameters.size();
  for (const ParameterInfo& p : parameters) {
    expected.tensors[p.name] = {p.shape, {}};
    known = known && tensors.tensors.contains(p.name);
  }
  try {
    return finite_parameters(tensors, source, parameters);
  } catch (const InputError& e) {
    if (known) throw;
    throw InputError(
        fmt::format("{}; found {}, expected {} (or other names, where shapes and numbers in the names "
                    "tell which layer is which)",
                    e.what(), names_and_shapes(tensors), names_and_shapes(expected)));
  }
}

}  // namespace

LoadedParameters load_parameters(const std::string& path, const std::vector<ParameterInfo>& parameters,
                                 const std::vector<ParameterInfo>& statistics) {
  LoadedParameters out;
  if (path.ends_with(".safetensors")) {
    std::vector<ParameterInfo> all = parameters;
    all.insert(all.end(), statistics.begin(), statistics.end());
    SafeTensors tensors = with_model_names(read_safetensors(path), path, all, out.notes);
    if (!statistics.empty()) out.statistics = taken_statistics(tensors, path, statistics);
    out.theta = named_parameters(tensors, path, parameters);
    return out;
  }
  Array array = read_npy(path);
  const Index expected = parameter_count(parameters);
  if (array.shape.rank() != 1 || array.shape.size() != expected)
    throw InputError(fmt::format("{}: found parameters of shape {}, expected [{}] as the model has", path,
                                 array.shape.to_string(), expected));
  if (array.integral) throw InputError(fmt::format("{}: found integers, expected a floating type", path));
  require_finite(path, array.values, parameters);
  out.theta = std::move(array.values);
  return out;
}

TrainOptions load_run_options(const std::string& path) {
  return read_options((locate(path).first / "config.toml").string());
}

TrainOptions load_run_config(const std::string& run) {
  if (!is_folder(run)) throw InputError(fmt::format("{}: no such folder, expected a run directory", run));
  if (!has(run, "config.toml")) {
    const std::string hint =
        checkpoint_step(fs::path(run).filename().string()) >= 0 ? ", not one of its checkpoints" : "";
    throw InputError(fmt::format("{}: found no config.toml, expected a run directory{}", run, hint));
  }
  TrainOptions out = read_options((fs::path(run) / "config.toml").string());
  out.run_directory = run;
  return out;
}

SavedRun load_run(const std::string& path) {
  const auto [run, parameters] = locate(path);
  return load_run_at(run.string(), parameters.string());
}

SavedRun load_run_at(const std::string& folder, const std::string& folder_of_parameters) {
  const fs::path run = folder, parameters = folder_of_parameters;
  const auto file = [&](const char* name) { return (run / name).string(); };
  SavedRun out;
  out.options = read_options(file("config.toml"));
  out.options.run_directory = run.string();
  out.model = parse_model_toml(read_text(file("model.toml")), file("model.toml"));
  out.standardizer = read_standardizer(file("standardizer.json"), out.model.input.size());
  out.class_names = read_class_names(file("data.json"));
  const auto network = build_network<double>(out.model, out.options.loss);
  const std::string weights = (parameters / "model.safetensors").string();
  SafeTensors tensors = read_safetensors(weights);
  if (!network.statistics.empty()) out.model.statistics = taken_statistics(tensors, weights, network.statistics);
  out.theta = finite_parameters(tensors, weights, network.parameters);
  if (const fs::path mask = parameters / "mask.safetensors"; is_there(mask.string())) {
    out.mask = read_mask(mask.string(), network.parameters);
    require_removed_zero(weights, out.mask, out.theta, network.parameters);
  }
  return out;
}

}  // namespace hso
