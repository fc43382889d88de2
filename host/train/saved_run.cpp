// SPDX-License-Identifier: Apache-2.0
#include "train/saved_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "hsogpu/error.hpp"
#include "hsogpu/io.hpp"
#include "train/mask_file.hpp"

namespace hso {
namespace {

namespace fs = std::filesystem;

Index parameter_count(const std::vector<ParameterInfo>& parameters) {
  Index count = 0;
  for (const ParameterInfo& p : parameters) count = std::max(count, p.offset + p.shape.size());
  return count;
}

Standardizer read_standardizer(const std::string& path) {
  try {
    const auto json = nlohmann::json::parse(read_text(path));
    return {json.at("mean").get<std::vector<double>>(), json.at("scale").get<std::vector<double>>()};
  } catch (const nlohmann::json::exception& e) {
    throw InputError(fmt::format("{}: {}, expected the lists mean and scale", path, e.what()));
  }
}

/// From data.json. Runs without that file had numbers for labels, or nobody knows.
std::optional<std::vector<std::string>> read_class_names(const std::string& path) {
  if (!fs::exists(path)) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(read_text(path));
    if (json.at("classes").get<Index>() == 0) return std::nullopt;
    return json.value("class_names", std::vector<std::string>{});
  } catch (const nlohmann::json::exception& e) {
    throw InputError(fmt::format("{}: {}, expected what a training writes: classes and class_names", path, e.what()));
  }
}

/// N of "step_N", -1 for other names.
Index checkpoint_step(const fs::path& path) {
  const std::string name = path.filename().string();
  const bool digits =
      name.size() > 5 && std::all_of(name.begin() + 5, name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return name.starts_with("step_") && digits && name.size() < 24 ? std::stoll(name.substr(5)) : -1;
}

fs::path last_checkpoint(const fs::path& run) {
  fs::path last;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", failed))
    if (checkpoint_step(entry.path()) >= 0 && (last.empty() || checkpoint_step(entry.path()) > checkpoint_step(last)))
      last = entry.path();
  return last;
}

/// The run directory and the folder whose model.safetensors counts.
std::pair<fs::path, fs::path> locate(const std::string& path) {
  const fs::path folder = fs::path(path).has_filename() ? fs::path(path) : fs::path(path).parent_path();
  if (!fs::is_directory(folder)) throw InputError(fmt::format("{}: no such folder, expected a run directory", path));
  if (fs::exists(folder / "config.toml")) {
    if (fs::exists(folder / "model.safetensors")) return {folder, folder};
    const fs::path last = last_checkpoint(folder);
    if (last.empty()) throw InputError(fmt::format("{}: found neither model.safetensors nor a checkpoint", path));
    return {folder, last};
  }
  const fs::path run = fs::absolute(folder).parent_path().parent_path();
  if (checkpoint_step(folder) >= 0 && fs::exists(run / "config.toml")) return {run, folder};
  throw InputError(fmt::format("{}: found no config.toml, expected a run directory or its checkpoints/step_N", path));
}

}  // namespace

std::vector<double> tensors_of(const SafeTensors& tensors, const std::string& source,
                               const std::vector<ParameterInfo>& parameters) {
  std::vector<double> theta(static_cast<std::size_t>(parameter_count(parameters)));
  for (const ParameterInfo& p : parameters) {
    const auto at = tensors.tensors.find(p.name);
    if (at == tensors.tensors.end()) throw InputError(fmt::format("{}: tensor {} is missing", source, p.name));
    if (at->second.shape != p.shape)
      throw InputError(fmt::format("{}: tensor {} has shape {}, expected {}", source, p.name,
                                   at->second.shape.to_string(), p.shape.to_string()));
    std::copy(at->second.values.begin(), at->second.values.end(), theta.begin() + p.offset);
  }
  return theta;
}

std::vector<double> read_parameters(const std::string& safetensors, const std::vector<ParameterInfo>& parameters) {
  return tensors_of(read_safetensors(safetensors), safetensors, parameters);
}

std::vector<double> load_parameters(const std::string& path, const std::vector<ParameterInfo>& parameters) {
  if (path.ends_with(".safetensors")) return read_parameters(path, parameters);
  Array array = read_npy(path);
  const Index expected = parameter_count(parameters);
  if (array.shape.rank() != 1 || array.shape.size() != expected)
    throw InputError(fmt::format("{}: found parameters of shape {}, expected [{}] as the model has", path,
                                 array.shape.to_string(), expected));
  return std::move(array.values);
}

SavedRun load_run(const std::string& path) {
  const auto [run, parameters] = locate(path);
  const auto file = [&run = run](const char* name) { return (run / name).string(); };
  SavedRun out;
  out.options = parse_train_options(read_text(file("config.toml")), file("config.toml"));
  out.options.run_directory = run.string();
  out.model = parse_model_toml(read_text(file("model.toml")), file("model.toml"));
  out.standardizer = read_standardizer(file("standardizer.json"));
  out.class_names = read_class_names(file("data.json"));
  const auto network = build_network<double>(out.model, out.options.loss);
  const std::string weights = (parameters / "model.safetensors").string();
  out.theta = read_parameters(weights, network.parameters);
  if (const fs::path mask = parameters / "mask.safetensors"; fs::exists(mask)) {
    out.mask = read_mask(mask.string(), network.parameters);
    require_removed_zero(weights, out.mask, out.theta, network.parameters);
  }
  return out;
}

}  // namespace hso
