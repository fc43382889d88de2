// SPDX-License-Identifier: Apache-2.0
//
// hso prune: smaller networks from trained ones, or scores beside each other with --compare.
#include "hsogpu/prune.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "cli/applies.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/memory_flags.hpp"
#include "cli/signals.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/prune_compare.hpp"
#include "io/shown_numbers.hpp"
#include "train/fields.hpp"
#include "train/run_directory.hpp"
#include "train/saved_run.hpp"

namespace hso::cli {
namespace {

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0;;) {
    const std::size_t comma = text.find(',', begin);
    out.push_back(text.substr(begin, comma - begin));
    if (comma == std::string::npos) return out;
    begin = comma + 1;
  }
}

double parse_share(const char* flag, const std::string& text) {
  double value = 0;
  if (!CLI::detail::lexical_cast(text, value) || !(value >= 0 && value < 1))
    throw UsageError(fmt::format("{}: found '{}', expected a share in [0, 1)", flag, text));
  return value;
}

class PruneCommand {
 public:
  explicit PruneCommand(CLI::App& command) : command_(command), layers_(command, training_keys()), memory_(command) {
    add_source(command);
    add_scores(command);
    add_finetuning(command);
    command.add_option("--out", out_, "run directory [runs/pruned-SCORE-NNN, runs/pruned-compare-NNN]");
    command.add_flag("--overwrite", options_.overwrite, "replace the run that is in --out");
    command.add_flag("--json", json_, "print the report as JSON on stdout");
    command.add_flag("--quiet", quiet_, "no table");
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

  void add_source(CLI::App& command) {
    command.add_option("--checkpoint", checkpoint_, "run directory or checkpoint; with --compare several, by commas")
        ->required();
    command.add_option("--sparsity", sparsity_, "share of the weights to remove; with --compare a list [0.9]");
    command.add_option("--keep", options_.keep, "instead: this many parameters stay, biases counted")
        ->check(CLI::PositiveNumber);
    command.add_option("--structured", structured_,
                       "none, neurons or channels (whole units), rows, columns, or N:M as 2:4 [none]");
    command.add_option("--multiply-adds", multiply_adds_, "units: share of the multiply-adds to remove");
    command.add_option("--layers", tensors_, "only these tensors, by name, as 0.weight,2.weight [all weights]");
    command.add_flag("--biases", options_.rule.biases, "biases may be removed too");
    command.add_flag("--per-layer", options_.rule.per_layer, "the same sparsity in every tensor");
    command.add_option("--keep-each", options_.rule.keep, "parameters that every tensor keeps at least [1]")
        ->check(CLI::NonNegativeNumber);
    command.add_option("--schedule", schedule_, "oneshot, iterative:N, gradual:N (cubic) or single [oneshot]");
  }
  void add_scores(CLI::App& command) {
    command.add_option("--score", score_, fmt::format("{} [obs]", fmt::join(prune_score_names(), ", ")));
    command.add_option("--compare", compare_, "scores to compare instead, by commas");
    command.add_option("--curvature", curvature_, "hessian, ggn, fisher_empirical, secant [hessian]");
    command.add_option("--damping", options_.rule.damping, "of the inverse, over the mean diagonal [1e-4]")
        ->check(CLI::NonNegativeNumber);
    command.add_flag("--no-compensation", plain_, "obs and its kin: the weights that stay are not moved");
    command.add_option("--flat", flat_, "hsp: auto, count:K, threshold:X or mass:X [auto]");
    command.add_option("--order", order_, "hsp: eigenvalues by absolute or algebraic value [absolute]");
    command.add_option("--block", options_.rule.block, "obs, fisher: diagonal blocks of this many parameters [0: one]")
        ->check(CLI::NonNegativeNumber);
    command
        .add_option("--rank", options_.rule.rank, "hsp, hsp_saliency: the largest eigenpairs instead of all [0: all]")
        ->check(CLI::NonNegativeNumber);
    command.add_option("--samples", options_.rule.samples, "fisher: gradients of single samples [1000]")
        ->check(CLI::PositiveNumber);
    command.add_option("--rows", options_.rows, "training rows that the scores see [0: all]")
        ->check(CLI::NonNegativeNumber);
    command.add_option("--device", options_.device, "auto, cpu, cuda or cuda:N [auto]");
    command.add_option("--precision", options_.precision, "of scores and compensation [float64]");
    command.add_option("--device-batch", options_.device_batch, "rows on the device at a time [2048 at most]")
        ->check(CLI::NonNegativeNumber);
    command
        .add_option("--points", options_.points, "places along a stage where the loss is measured, in prune.json [0]")
        ->check(CLI::NonNegativeNumber);
    command.add_option("--time", options_.timing_rows, "measure forward passes of this many rows [0: none]")
        ->check(CLI::NonNegativeNumber);
  }
  void add_finetuning(CLI::App& command) {
    command.add_option("--finetune", options_.finetune_epochs, "epochs of training after every stage [0]")
        ->check(CLI::NonNegativeNumber);
    command.add_option("--finetune-steps", options_.finetune_steps, "steps of training after every stage [0]")
        ->check(CLI::NonNegativeNumber);
    command.add_option("--set", settings_, "an option of its optimizer, NAME=VALUE; may be repeated");
    rate_option_ = command.add_option("--rate", rate_, "short for --set rate=VALUE");
  }

  void resolve() {
    RemovalRule& rule = options_.rule;
    rule.score = parse_prune_score(score_);
    rule.curvature = parse_curvature(curvature_);
    rule.compensate = !plain_;
    rule.flat = parse_flat_set(flat_);
    rule.flat.order = parse_flat_order(order_);
    if (!tensors_.empty()) rule.tensors = split_list(tensors_);
    options_.schedule = parse_prune_schedule(schedule_);
    if (!multiply_adds_.empty()) options_.multiply_adds = parse_share("--multiply-adds", multiply_adds_);
    for (const std::string& text : split_list(sparsity_)) sparsities_.push_back(parse_share("--sparsity", text));
    options_.sparsity = sparsities_.front();
    options_.granularity = parse_structure();
    check_applicable();
    checkpoints_ = split_list(checkpoint_);
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

  /// Of the scores that are asked for, one at least.
  bool any_of(std::initializer_list<PruneScore> scores) const {
    std::vector<std::string> names = compare_.empty() ? std::vector<std::string>{score_} : split_list(compare_);
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return std::find(scores.begin(), scores.end(), parse_prune_score(name)) != scores.end();
    });
  }

  void check_applicable() const {
    using S = PruneScore;
    const bool hsp = any_of({S::hsp, S::hsp_saliency}), weights = options_.granularity == Granularity::weights;
    const bool pattern = options_.rule.pattern.has_value(),
               trained = options_.finetune_epochs > 0 || options_.finetune_steps > 0;
    const char* training = "--finetune or --finetune-steps";
    require_applicable(command_,
                       {{"--plan", compare_.empty(), "no --compare, whose runs are planned one by one"},
                        {"--sparsity", !pattern && options_.keep == 0 && multiply_adds_.empty(),
                         "neither N:M, --keep nor --multiply-adds, which say themselves how many go"},
                        {"--keep", weights && !pattern, "--structured none"},
                        {"--multiply-adds", !weights, "whole units, --structured neurons, channels, rows or columns"},
                        {"--score", compare_.empty(), "no --compare, which names the scores"},
                        {"--flat", hsp || any_of({S::hsp_literal}), "--score hsp, hsp_saliency or hsp_literal"},
                        {"--order", hsp || any_of({S::hsp_literal}), "--score hsp, hsp_saliency or hsp_literal"},
                        {"--rank", hsp, "--score hsp or hsp_saliency"},
                        {"--block", any_of({S::obs, S::fisher}), "--score obs or fisher"},
                        {"--samples", any_of({S::fisher}), "--score fisher"},
                        {"--points", weights, "--structured none"},
                        {"--set", trained, training},
                        {"--rate", trained, training},
                        {"--optimizer", trained, training},
                        {"--wrap", trained, training},
                        {"--batch", trained, training},
                        {"--l1", trained, training}});
  }

  Granularity parse_structure() {
    const std::size_t colon = structured_.find(':');
    if (colon == std::string::npos) return parse_granularity(structured_);
    NofM pattern;
    if (!CLI::detail::lexical_cast(structured_.substr(0, colon), pattern.kept) ||
        !CLI::detail::lexical_cast(structured_.substr(colon + 1), pattern.of))
      throw UsageError(fmt::format("--structured: found '{}', expected N:M as 2:4", structured_));
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
    if (rate_option_->count() > 0) set_optimizer_option(out, "rate", rate_, "--rate");
    for (const std::string& text : settings_) {
      const auto [name, value] = split_setting(text);
      set_optimizer_option(out, name, value, "--set");
    }
    return out;
  }

  std::string directory(const std::string& what) const {
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
    options_.run_directory = directory(score_);
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
    PruneResult result;
    try {
      result = prune(options_, hooks);
    } catch (const PlanPrinted&) {
      return 0;
    }
    if (!quiet_) fmt::print(stderr, "{}run {}\n", prune_table(result), result.run_directory);
    if (json_) fmt::print("{}", prune_json(options_, result));
    return result.complete ? 0 : 128 + SignalWatch::caught();
  }

  int prune_many() {
    std::vector<PruneScore> scores;
    for (const std::string& name : split_list(compare_)) scores.push_back(parse_prune_score(name));
    const std::string where = directory("compare");
    RunDirectory::check(where, options_.overwrite);
    std::optional<SignalWatch> signals;
    const SignalScope scope;
    PruneCompareHooks hooks;
    hooks.interrupted = [] { return SignalWatch::caught() != 0; };
    if (!quiet_) hooks.on_data = print_data;
    hooks.on_run = [&](const std::string& line) {
      if (!signals) signals.emplace();
      if (!quiet_) fmt::print(stderr, "{}\n", line);
    };
    const PruneComparison result = compare_pruning(options_, checkpoints_, scores, sparsities_, hooks);
    if (!quiet_) fmt::print(stderr, "\n{}", prune_comparison_table(result));
    if (json_) fmt::print("{}", prune_comparison_json(result));
    const std::string written = write_prune_comparison(result, where);
    if (!quiet_) fmt::print(stderr, "run {}\n", written);
    return result.complete ? 0 : 128 + SignalWatch::caught();
  }

  const CLI::App& command_;
  OptionLayers layers_;
  MemoryFlags memory_;
  PruneOptions options_;
  std::vector<double> sparsities_;
  std::vector<std::string> checkpoints_, settings_;
  std::string checkpoint_, sparsity_ = "0.9", structured_ = "none", multiply_adds_, tensors_, schedule_ = "oneshot",
                           score_ = "obs", compare_, curvature_ = "hessian", flat_ = "auto", order_ = "absolute", rate_,
                           out_;
  CLI::Option* rate_option_ = nullptr;
  bool plain_ = false, json_ = false, quiet_ = false;
};

}  // namespace

void add_prune(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("prune", "Remove weights, neurons or channels of a trained network");
  const auto prune_command = std::make_shared<PruneCommand>(*command);
  command->callback([prune_command, &exit_code] { exit_code = prune_command->run(); });
}

}  // namespace hso::cli
