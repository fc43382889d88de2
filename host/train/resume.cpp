// SPDX-License-Identifier: Apache-2.0
#include "train/resume.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "hsogpu/core/error.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/version.hpp"
#include "io/file.hpp"
#include "io/shown_text.hpp"
#include "train/fields.hpp"
#include "train/saved_run.hpp"

namespace hso {
namespace {

/// What does not touch the steps that are taken; rows at a time come with the checkpoint.
constexpr std::array<std::string_view, 14> kFree = {"epochs",          "steps",
                                                    "max_trials",      "target_loss",
                                                    "target_accuracy", "patience",
                                                    "max_seconds",     "max_processor_seconds",
                                                    "max_gradients",   "checkpoint_every",
                                                    "keep_last",       "keep_every",
                                                    "keep_best",       "device_batch"};

/// The last whole checkpoint, of this format.
std::optional<CheckpointInfo> last_whole(const std::string& run, const std::function<void(const std::string&)>& note) {
  const std::vector<Index> steps = checkpoint_steps(run);
  std::string first_fault;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const std::string folder = checkpoint_folder(run, *step);
    CheckpointInfo info;
    try {
      info = read_checkpoint_info(folder);
      if (info.format == kCheckpointFormat) verify_checkpoint(folder, info);
    } catch (const InputError& e) {
      if (first_fault.empty()) first_fault = e.what();
      if (note) note(fmt::format("{}; an older checkpoint is looked for", e.what()));
      continue;
    }
    if (info.format != kCheckpointFormat)
      throw InputError(
          fmt::format("{}: a checkpoint of format {}, written by version {}; expected format {}, as version "
                      "{} writes it",
                      folder, info.format, shown(info.version), kCheckpointFormat, HSOGPU_VERSION));
    if (info.step != *step) throw InputError(fmt::format("{}: holds step {}, expected {}", folder, info.step, *step));
    return info;
  }
  if (!first_fault.empty()) throw InputError(fmt::format("{}: no checkpoint is whole: {}", run, first_fault));
  return std::nullopt;
}

/// "cuda" of "cuda:1": GPUs of one kind compute the same bits.
std::string kind_of(const std::string& device) { return device.substr(0, device.find(':')); }

/// As config.toml has them: "0.010" is 0.01.
TrainOptions as_written(const TrainOptions& options) { return parse_train_options(to_toml(options), "options"); }

[[noreturn]] void differ(const ResumePoint& run, const std::string& what, const std::string& asked,
                         const std::string& had) {
  throw UsageError(
      fmt::format("resume {}: {} is {}, expected {} as the run has it; a training with other options is a "
                  "new one (--start)",
                  run.options.run_directory, what, asked, had));
}

}  // namespace

std::optional<ResumePoint> find_resume_point(const TrainOptions& options,
                                             const std::function<void(const std::string&)>& note) {
  const std::string& run = options.run_directory;
  const TrainOptions config = load_run_config(run);
  const std::optional<CheckpointInfo> info = last_whole(run, note);
  if (!info) {
    if (note) note(fmt::format("{}: has no checkpoint yet; it begins anew", run));
    return std::nullopt;
  }
  ResumePoint out;
  out.step = info->step;
  out.folder = checkpoint_folder(run, info->step);
  SavedRun saved = load_run_at(run, out.folder);
  out.options = std::move(saved.options);
  out.start.model = std::move(saved.model);
  out.start.theta = std::move(saved.theta);
  out.start.mask = std::move(saved.mask);
  out.start.class_names = std::move(saved.class_names);
  if (!config.start.empty()) out.start.standardizer = saved.standardizer;
  out.standardizer = std::move(saved.standardizer);
  if (is_there(run + "/data.json")) out.data = read_text(run + "/data.json");
  out.state = read_raw_tensors(out.folder + "/state.safetensors").tensors;
  if (note && info->version != HSOGPU_VERSION)
    note(fmt::format("{}: written by version {}; this is {}, whose bits may differ", out.folder, shown(info->version),
                     HSOGPU_VERSION));
  return out;
}

void require_same_training(const TrainOptions& asked, const ResumePoint& run) {
  const TrainOptions now = as_written(asked), before = as_written(run.options);
  for (const TrainField& field : train_fields()) {
    if (std::find(kFree.begin(), kFree.end(), field.key) != kFree.end()) continue;
    std::string text = field_text(now, field), had = field_text(before, field);
    if (field.key == "device") text = kind_of(text), had = kind_of(had);
    if (text != had) differ(run, field.key, shown(text), shown(had));
  }
  for (const auto& [name, had] : before.optimizer_settings) {
    const auto at = now.optimizer_settings.find(name);
    const std::string text = at == now.optimizer_settings.end() ? "not set" : at->second;
    if (text != had) differ(run, fmt::format("option {} of {}", name, before.optimizer), shown(text), shown(had));
  }
}

void require_same_data(const DataDescription& description, const Standardizer& standardizer, const ResumePoint& run) {
  const bool same = run.data == description.json() + "\n" && standardizer.mean == run.standardizer.mean &&
                    standardizer.scale == run.standardizer.scale;
  if (!same)
    throw InputError(
        fmt::format("resume {}: the data {} are not those that the run began with (its data.json and "
                    "standardizer.json)",
                    run.options.run_directory, run.options.data));
}

}  // namespace hso
