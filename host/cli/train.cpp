// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/train/train.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/against.hpp"
#include "cli/applies.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/compare.hpp"
#include "cli/memory_flags.hpp"
#include "cli/outputs.hpp"
#include "cli/progress.hpp"
#include "cli/save_on_signal.hpp"
#include "cli/signals.hpp"
#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"
#include "train/fields.hpp"
#include "train/run_directory.hpp"
#include "train/saved_run.hpp"

namespace hso::cli {
namespace {

std::vector<std::string> all_keys() {
  std::vector<std::string> keys;
  for (const TrainField& field : train_fields()) keys.push_back(field.key);
  return keys;
}

class TrainCommand {
 public:
  explicit TrainCommand(Command& command)
      : command_(command), layers_(command, all_keys()), memory_(command), compare_(command), against_(command) {
    command.group("method");
    command.option("--set NAME=VALUE", settings_, "an option of the optimizer; may be repeated");
    command.option("--rate X", rate_, "short for --set rate=VALUE");
    command.group(kFiles);
    command.option("--out DIR", out_, "run directory [runs/DATA-OPTIMIZER-NNN, runs/DATA-compare-NNN]");
    command.flag("--overwrite", overwrite_, "replace the run that is in --out");
    command.option("--resume RUN", resume_, "go on with a run that was stopped, from its last whole checkpoint");
    command.flag("--json", json_, "print the result as JSON on stdout");
    command.flag("--quiet", quiet_, "no progress, no table");
  }

  int run() const {
    if (compare_.requested()) return run_comparison();
    compare_.require_none();
    const TrainOptions options = resume_.empty() ? resolve() : resolve_resumed();
    check_applicable(options);
    require_other_inputs(options);
    if (against_.requested()) against_.check(options);
    std::optional<SignalWatch> signals;
    const SignalScope scope;
    ProgressPrinter progress(::isatty(STDERR_FILENO) == 1);
    TrainHooks hooks;
    hooks.interrupted = [] { return SignalWatch::caught() != 0; };
    hooks.on_plan = [&](const MemoryPlan& plan) {
      if (memory_.stops_after(plan, "plan", "", quiet_)) throw PlanPrinted();
      signals.emplace();  // the data is read, and nothing written yet
    };
    hooks.on_note = [](const std::string& text) { fmt::print(stderr, "hso: {}\n", shown_message(text)); };
    if (!quiet_) {
      hooks.on_data = print_data;
      hooks.on_record = [&](const TrainRecord& r) { progress.record(r); };
      hooks.on_progress = [&](Index step, const StepReport& r) { progress.step(step, r); };
    }
    const auto conclude = [&](const TrainResult& result) {
      if (!quiet_) progress.finish(result);
      if (json_) print_json(result);
      return exit_code(result, SignalWatch::caught());
    };
    SaveOnSignal saving;
    hooks.blocking = saving.hook<TrainResult>(conclude);
    memory_.start();
    TrainResult result;
    try {
      result = train(options, hooks);
    } catch (const PlanPrinted&) {
      return 0;
    }
    const int code = conclude(result);
    if (code != 0 || !against_.requested()) return code;
    return against_.run(options, result, hooks.interrupted) ? 0 : 128 + SignalWatch::caught();
  }

 private:
  static bool is_folder_of_parts(const std::string& data) {
    std::error_code failed;
    return data == "fashion-mnist" || std::filesystem::is_directory(data, failed);
  }

  void check_applicable(const TrainOptions& options) const {
    require_applicable(command_, {{"--test-fraction", options.data != "digits" && !is_folder_of_parts(options.data),
                                   "data without a test part of its own (digits: 360 samples)"},
                                  {"--initialization", options.start.empty(), "no --start, which has parameters"},
                                  {"--spectrum-kind", options.spectrum_every > 0, "--spectrum-every"},
                                  {"--against", !quiet_, "no --quiet, which hides what it prints"}});
  }

  int run_comparison() const {
    for (const char* flag : {"--optimizer", "--set", "--rate", "--against", "--resume"})
      if (command_.given(flag))
        throw UsageError(fmt::format("{}: not with --compare, which takes NAME:OPTION=VALUE", flag));
    require_applicable(command_, {{"--plan", false, "no --compare, whose runs are planned one by one"}});
    memory_.start();
    TrainOptions base = of_start(layers_.resolve());
    check_applicable(base);
    base.overwrite = overwrite_;
    base.run_directory = run_directory(base.data, "compare");
    require_other_inputs(base);
    const std::string directory = std::exchange(base.run_directory, "");
    return compare_.run(base, directory, json_, quiet_);
  }

  /// What is to be learned from which rows: with --start that of the run, where nothing else is asked for. Another seed
  /// would mix the run's test part into the training.
  TrainOptions of_start(TrainOptions options) const {
    if (options.start.empty()) return options;
    const TrainOptions run = load_run(options.start).options;
    for (const char* key : {"model", "data", "loss", "scaling", "reconstruct", "precision", "test_fraction", "seed"})
      if (const TrainField& field = *find_train_field(key); !layers_.set_anywhere(key))
        set_field(options, field, field_text(run, field), options.start);
    for (const char* key : {"label", "header", "separator"})
      if (const TrainField& field = *find_train_field(key); is_csv(options.data) && !layers_.set_anywhere(key))
        set_field(options, field, field_text(run, field), options.start);
    return options;
  }

  TrainOptions resolve() const {
    TrainOptions options = of_start(layers_.resolve());
    add_optimizer_options(options);
    options.run_directory = run_directory(options.data, options.optimizer);
    options.overwrite = overwrite_;
    return options;
  }

  /// The options of the run, with those on top that say when to stop. A limit of one kind that is given takes the place
  /// of the other kind's.
  TrainOptions resolve_resumed() const {
    for (const char* flag : {"--out", "--overwrite", "--start"})
      if (command_.given(flag)) throw UsageError(fmt::format("{}: not with --resume, which goes on in the run", flag));
    TrainOptions options = layers_.resolve(load_run_config(resume_));
    add_optimizer_options(options);
    const bool steps = layers_.set_anywhere("steps"), epochs = layers_.set_anywhere("epochs");
    if (steps && !epochs) options.epochs = 0;
    if (epochs && !steps) options.steps = 0;
    if ((steps || epochs) && !layers_.set_anywhere("max_trials")) options.max_trials = 0;
    options.resume = true;
    return options;
  }

  void add_optimizer_options(TrainOptions& options) const {
    if (command_.given("--rate")) set_optimizer_option(options, "rate", rate_, "--rate");
    for (const std::string& text : settings_) {
      const auto [name, value] = split_setting(text);
      set_optimizer_option(options, name, value, "--set");
    }
  }

  /// What is read must not lie in the run directory: an earlier run there is removed.
  void require_other_inputs(const TrainOptions& options) const {
    if (options.resume) return;
    std::vector<NamedPath> inputs = data_paths("--data", options.data);
    inputs.push_back({"--model", options.model});
    inputs.push_back({"--config", layers_.config()});
    inputs.push_back({"--start", options.start});
    std::error_code failed;
    for (const auto& [flag, path] : inputs)
      if (!path.empty() && std::filesystem::exists(path, failed))
        RunDirectory::require_other(fmt::format("{} {}", flag, path), options.run_directory, path);
  }

  std::string run_directory(const std::string& source, const std::string& what) const {
    if (!out_.empty()) return out_;
    if (const char* out = std::getenv("HSO_OUT"); out != nullptr && *out != '\0') return out;
    std::filesystem::path data = source.substr(0, source.find(','));
    if (!data.has_filename()) data = data.parent_path();
    return fmt::format("runs/{}-{}-###", data.stem().string(), what);
  }

  static void print_json(const TrainResult& result) {
    auto json = nlohmann::ordered_json::parse(metrics_line(result.last));
    json["accepted_steps"] = result.accepted_steps;
    json["total_trials"] = result.trials;
    json["total_seconds"] = result.seconds;
    json["stop_reason"] = result.stop_reason;
    json["planned_bytes"] = result.planned_bytes;
    json["peak_bytes"] = result.peak_bytes;
    json["device"] = result.device;
    json["run_directory"] = result.run_directory;
    json["data"] = nlohmann::ordered_json::parse(result.data.json());
    fmt::print("{}\n", json.dump());
  }

  static int exit_code(const TrainResult& result, int signal) {
    if (result.stop_reason == "interrupted") return 128 + signal;
    if (!result.numerical_failure) return 0;
    const TrainRecord& end = result.history.back();
    fmt::print(stderr, "hso: training stopped at step {}: {}{}{}; the parameters are those of step {}\n", end.step,
               result.stop_reason, end.report.message.empty() ? "" : ": ", end.report.message, result.last.step);
    return static_cast<int>(ErrorKind::numerical);
  }

  const Command& command_;
  OptionLayers layers_;
  MemoryFlags memory_;
  CompareFlags compare_;
  AgainstFlag against_;
  std::vector<std::string> settings_;
  std::string rate_, out_, resume_;
  bool overwrite_ = false, json_ = false, quiet_ = false;
};

}  // namespace

void add_train(CommandLine& line) {
  Command& command = line.add("train", "train a network; writes a run directory", kTrainSection);
  command.runs([train = std::make_shared<TrainCommand>(command)] { return train->run(); });
}

}  // namespace hso::cli
