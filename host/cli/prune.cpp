// SPDX-License-Identifier: Apache-2.0
//
// hso prune: smaller networks from trained ones, or scores beside each other with --compare.
#include "hsogpu/prune/prune.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/applies.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/memory_flags.hpp"
#include "cli/save_on_signal.hpp"
#include "cli/signals.hpp"
#include "cli/values.hpp"
#include "hsogpu/core/error.hpp"
#include "hsogpu/prune/compare.hpp"
#include "io/shown_numbers.hpp"
#include "io/text_parts.hpp"
#include "train/fields.hpp"
#include "train/run_files.hpp"
#include "train/saved_run.hpp"

namespace hso::cli {
namespace {

double parse_share(const char* flag, const std::string& text) {
  const auto value = number_in<double>(text);
  if (!value || !(*value >= 0 && *value < 1))
    throw UsageError(fmt::format("{}: found '{}', expected a share in [0, 1)", flag, text));
  return *value;
}

class PruneCommand {
 public:
  explicit PruneCommand(Command& command) : command_(command), layers_(command, training_keys()), memory_(command) {
    add_source(command);
    add_scores(command);
    add_finetuning(command);
    command.group(kFiles);
    command.option("--out DIR", out_, "run directory [runs/pruned-SCORE-NNN, runs/pruned-compare-NNN]");
    command.flag("--overwrite", options_.overwrite, "replace the run that is in --out");
    command.flag("--json", json_, "print the report as JSON on stdout");
    command.flag("--quiet", quiet_, "no table");
  }

  int run() {
    memory_.start();
    resolve();
    return compare_.empty() ? prune_one() : prune_many();
  }

 private:
  /// What fine-tuning may do in another way than the training did.
  static std::vector<std::string> training_keys() {
    return {"optimizer", "wrap", "batch", "curvature_batch", "weight_decay", "l1", "seed"};
  }

  void add_source(Command& command) {
    command.group("what is removed");
    command.option("--checkpoint RUN", checkpoint_, "run directory or checkpoint; with --compare several, by commas")
        .required();
    command.option("--sparsity X", sparsity_, "share of the weights to remove; with --compare a list [0.9]");
    command.option("--keep N", options_.keep, "instead: this many parameters stay, biases counted").whole_number(1);
    command.option("--structured UNITS", structured_,
                   "none, neurons or channels (whole units), rows, columns, or N:M as 2:4 [none]");
    command.option("--multiply-adds X", multiply_adds_, "units: share of the multiply-adds to remove");
    command.option("--layers NAMES", tensors_, "only these tensors, by name, as 0.weight,2.weight [all weights]");
    command.flag("--biases", options_.rule.biases, "biases may be removed too");
    command.flag("--per-layer", options_.rule.per_layer, "the same sparsity in every tensor");
    command.option("--keep-each N", options_.rule.keep, "parameters that every tensor keeps at least [1]")
        .whole_number(0);
    command.option("--schedule RULE", schedule_, "oneshot, iterative:N, gradual:N (cubic) or single [oneshot]");
  }
  void add_scores(Command& command) {
    command.group("scores");
    command
        .option("--score NAME", score_,
                "`hso scores` says what they are: " + fmt::format("{} [obs]", fmt::join(prune_score_names(), ", ")))
        .words(prune_score_names());
    command.option("--compare NAMES", compare_, "scores to compare instead, by commas");
    command.option("--curvature KIND", curvature_, "hessian, ggn, fisher_empirical, secant [hessian]");
    command.option("--damping X", options_.rule.damping, "of the inverse, over the mean diagonal [1e-4]").from_zero();
    command.flag("--no-compensation", plain_, "obs and its kin: the weights that stay are not moved");
    command.option("--flat RULE", flat_, "hsp: auto, count:K, threshold:X or mass:X [auto]");
    command.option("--order ORDER", order_, "hsp: eigenvalues by absolute or algebraic value [absolute]");
    command.option("--block N", options_.rule.block, "obs, fisher: diagonal blocks of this many parameters [0: one]")
        .whole_number(0);
    command.option("--rank N", options_.rule.rank, "hsp, hsp_saliency: the largest eigenpairs instead of all [0: all]")
        .whole_number(0);
    command.option("--samples N", options_.rule.samples, "fisher: gradients of single samples [1000]").whole_number(1);
    command.option("--rows N", options_.rows, "training rows that the scores see [0: all]").whole_number(0);
    command.group("machine");
    command.option("--device DEVICE", options_.device, "auto, cpu, cuda or cuda:N [auto]");
    command.option("--precision TYPE", options_.precision, "of scores and compensation [float64]");
    command.option("--device-batch N", options_.device_batch, "rows on the device at a time [2048 at most]")
        .whole_number(0);
    command.option("--points N", options_.points, "places along a stage where the loss is measured, in prune.json [0]")
        .whole_number(0);
    command.option("--time ROWS", options_.timing_rows, "measure forward passes of this many rows [0: none]")
        .whole_number(0);
  }
  void add_finetuning(Command& command) {
    command.group("fine-tuning");
    command.option("--finetune EPOCHS", options_.finetune_epochs, "epochs of training after every stage [0]")
        .whole_number(0);
    command.option("--finetune-steps N", options_.finetune_steps, "steps of training after every stage [0]")
        .whole_number(0);
    command.option("--set NAME=VALUE", settings_, "an option of its optimizer; may be repeated");
    command.option("--rate X", rate_, "short for --set rate=VALUE");
  }

  void resolve() {
    layers_.resolve();  // what is out of range is said before anything is read
    RemovalRule& rule = options_.rule;
    rule.score = of_flag("--score", parse_prune_score, score_);
    rule.curvature = of_flag("--curvature", parse_curvature, curvature_);
    rule.compensate = !plain_;
    rule.flat = of_flag("--flat", parse_flat_set, flat_);
    rule.flat.order = of_flag("--order", parse_flat_order, order_);
    if (!tensors_.empty()) rule.tensors = split_text(tensors_, ',');
    options_.schedule = of_flag("--schedule", parse_prune_schedule, schedule_);
    if (!multiply_adds_.empty()) options_.multiply_adds = parse_share("--multiply-adds", multiply_adds_);
    for (const std::string& text : split_text(sparsity_, ',')) sparsities_.push_back(parse_share("--sparsity", text));
    options_.sparsity = sparsities_.front();
    options_.granularity = parse_structure();
    check_applicable();
    checkpoints_ = split_text(checkpoint_, ',');
    options_.rule.seed = tuned(load_run(checkpoints_.front()).options).seed;
    options_.finetune = [this](const TrainOptions& run) { return tuned(run); };
    if (!compare_.empty()) {
      if (options_.keep > 0 || options_.multiply_adds > 0)
        throw UsageError("--compare: the sparsities are compared, not with --keep or --multiply-adds");
      return;
    }
    if (sparsities_.size() > 1) throw UsageError("--sparsity: a list is for --compare");
    if (checkpoints_.size() > 1) throw UsageError("--checkpoint: a list is for --compare");
    options_.checkpoint = checkpoint_;
  }

  std::vector<PruneScore> scores() const {
    std::vector<PruneScore> out;
    for (const std::string& name : compare_.empty() ? std::vector<std::string>{score_} : split_text(compare_, ','))
      out.push_back(of_flag(compare_.empty() ? "--score" : "--compare", parse_prune_score, name));
    return out;
  }
  /// Of the scores that are asked for, one at least is among these.
  bool any_of(std::initializer_list<PruneScore> some) const {
    const std::vector<PruneScore> all = scores();
    return std::find_first_of(all.begin(), all.end(), some.begin(), some.end()) != all.end();
  }
  bool any_but(std::initializer_list<PruneScore> some) const {
    const std::vector<PruneScore> all = scores();
    return std::any_of(all.begin(), all.end(),
                       [&](PruneScore score) { return std::find(some.begin(), some.end(), score) == some.end(); });
  }

  void check_applicable() const {
    using S = PruneScore;
    const bool hsp = any_of({S::hsp, S::hsp_saliency}), weights = options_.granularity == Granularity::weights;
    const std::vector<PruneScore> all = scores();
    const bool compensating = std::any_of(all.begin(), all.end(), compensates), one = compare_.empty();
    const bool pattern = options_.rule.pattern.has_value(),
               trained = options_.finetune_epochs > 0 || options_.finetune_steps > 0;
    const char* training = "--finetune or --finetune-steps";
    require_applicable(command_,
                       {{"--plan", compare_.empty(), "no --compare, whose runs are planned one by one"},
                        {"--sparsity", !pattern && options_.keep == 0 && multiply_adds_.empty(),
                         "neither N:M, --keep nor --multiply-adds, which say themselves how many go"},
                        {"--keep", weights && !pattern, "--structured none"},
                        {"--multiply-adds", !weights, "whole units, --structured neurons, channels, rows or columns"},
                        {"--score", one, "no --compare, which names the scores"},
                        {"--flat", hsp || any_of({S::hsp_literal}), "--score hsp, hsp_saliency or hsp_literal"},
                        {"--order", hsp || any_of({S::hsp_literal}), "--score hsp, hsp_saliency or hsp_literal"},
                        {"--rank", hsp, "--score hsp or hsp_saliency"},
                        {"--block", any_of({S::obs, S::fisher}), "--score obs or fisher"},
                        {"--samples", any_of({S::fisher}), "--score fisher"},
                        {"--curvature", any_but({S::magnitude, S::random, S::gradient}),
                         "a score of the curvature: neither magnitude, random nor gradient"},
                        {"--damping", any_but({S::magnitude, S::random, S::gradient, S::obd}),
                         "a score of an inverse: neither magnitude, random, gradient nor obd"},
                        {"--no-compensation", compensating, "a score that moves what stays, as obs"},
                        {"--points", weights && one, "--structured none, and no --compare"},
                        {"--time", one, "no --compare, which times nothing"},
                        {"--set", trained, training},
                        {"--rate", trained, training},
                        {"--optimizer", trained, training},
                        {"--wrap", trained, training},
                        {"--batch", trained, training},
                        {"--curvature-batch", trained, training},
                        {"--weight-decay", trained, training},
                        {"--l1", trained, training}});
  }

  Granularity parse_structure() {
    const std::size_t colon = structured_.find(':');
    if (colon == std::string::npos) return of_flag("--structured", parse_granularity, structured_);
    NofM pattern;
    pattern.kept = number_in<decltype(pattern.kept)>(structured_.substr(0, colon)).value_or(0);
    pattern.of = number_in<decltype(pattern.of)>(structured_.substr(colon + 1)).value_or(0);
    if (pattern.kept < 1 || pattern.of <= pattern.kept)
      throw UsageError(fmt::format("--structured: found '{}', expected N:M with 0 < N < M, as 2:4", structured_));
    options_.rule.pattern = pattern;
    return Granularity::weights;
  }

  /// The run's options with the flags on top.
  TrainOptions tuned(const TrainOptions& base) const {
    TrainOptions out = layers_.resolve(base);
    // The run's batches belong to its own method.
    if (out.optimizer != base.optimizer) {
      out.device_batch = 0;
      if (!layers_.set_anywhere("batch")) out.batch = 0;
      if (!layers_.set_anywhere("curvature_batch")) out.curvature_batch = 0;
    }
    if (command_.given("--rate")) set_optimizer_option(out, "rate", rate_, "--rate");
    for (const std::string& text : settings_) {
      const auto [name, value] = split_setting(text);
      set_optimizer_option(out, name, value, "--set");
    }
    return out;
  }

  std::string directory_for(const std::string& what) const {
    return out_.empty() ? fmt::format("runs/pruned-{}-###", what) : out_;
  }

  static void print_stage(Index stage, const PruneStage& s) {
    const auto shown = [](const Evaluation& e) {
      return e.accuracy < 0 ? fmt::format("loss {:.5g}", e.loss) : percent(e.accuracy);
    };
    fmt::print(stderr, "stage {}: {} kept in {:.1f} s, train {}, test {}; after {:.1f} s of training {}, {}\n",
               stage + 1, s.kept, s.seconds, shown(s.train), shown(s.test), s.finetune_seconds,
               shown(s.finetuned_train), shown(s.finetuned_test));
  }

  int prune_one() {
    options_.run_directory = directory_for(score_);
    std::optional<SignalWatch> signals;
    const SignalScope scope;
    PruneHooks hooks;
    hooks.interrupted = [] { return SignalWatch::caught() != 0; };
    if (!quiet_) hooks.on_data = print_data;
    hooks.on_stage = [&](Index stage, const PruneStage& s) {
      if (!signals) signals.emplace();  // from now on there is something to be written
      if (!quiet_) print_stage(stage, s);
    };
    hooks.on_plan = [&](const MemoryPlan& plan) {
      if (memory_.stops_after(plan, "plan", "", quiet_)) throw PlanPrinted();
    };
    const auto conclude = [&](const PruneResult& result) {
      if (!quiet_) fmt::print(stderr, "{}run {}\n", prune_table(result), result.run_directory);
      if (json_) fmt::print("{}", prune_json(options_, result));
      return result.complete ? 0 : 128 + SignalWatch::caught();
    };
    SaveOnSignal saving;
    hooks.blocking = saving.hook<PruneResult>(conclude);
    try {
      return conclude(prune(options_, hooks));
    } catch (const PlanPrinted&) {
      return 0;
    }
  }

  int prune_many() {
    const std::string path = directory_for("compare");
    for (const std::string& checkpoint : checkpoints_)
      RunDirectory::require_other("--checkpoint " + checkpoint, path, checkpoint);
    std::optional<RunDirectory> directory(std::in_place, path, options_.overwrite);  // locked now
    std::optional<SignalWatch> signals;
    const SignalScope scope;
    PruneCompareHooks hooks;
    hooks.interrupted = [] { return SignalWatch::caught() != 0; };
    hooks.on_data = [&](const DataDescription& data) {
      signals.emplace();  // the data is read, and nothing written yet
      if (!quiet_) print_data(data);
    };
    if (!quiet_) hooks.on_run = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
    const auto conclude = [&](const PruneComparison& result) {
      if (!quiet_) fmt::print(stderr, "\n{}", prune_comparison_table(result));
      if (json_) fmt::print("{}", prune_comparison_json(result));
      write_comparison(result, *directory);
      if (!quiet_) fmt::print(stderr, "run {}\n", directory->path());
      directory.reset();
      return result.complete ? 0 : 128 + SignalWatch::caught();
    };
    SaveOnSignal saving;
    hooks.blocking = saving.hook<PruneComparison>([&](const PruneComparison& known) {
      if (!known.rows.front().runs.empty()) return conclude(known);
      directory.reset();
      return 128 + SignalWatch::caught();
    });
    return conclude(compare_pruning(options_, checkpoints_, scores(), sparsities_, hooks));
  }

  const Command& command_;
  OptionLayers layers_;
  MemoryFlags memory_;
  PruneOptions options_;
  std::vector<double> sparsities_;
  std::vector<std::string> checkpoints_, settings_;
  std::string checkpoint_, sparsity_ = "0.9", structured_ = "none", multiply_adds_, tensors_, schedule_ = "oneshot",
                           score_ = "obs", compare_, curvature_ = "hessian", flat_ = "auto", order_ = "absolute", rate_,
                           out_;
  bool plain_ = false, json_ = false, quiet_ = false;
};

}  // namespace

void add_prune(CommandLine& line) {
  Command& command =
      line.add("prune", "remove weights, neurons or channels of a trained network, and fine-tune it", kTrainSection);
  command.runs([prune = std::make_shared<PruneCommand>(command)] { return prune->run(); });
}

}  // namespace hso::cli
