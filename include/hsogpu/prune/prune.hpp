// SPDX-License-Identifier: Apache-2.0
//
// Pruning as a library call: a trained run in, a smaller network out, with what it cost.
//
//   PruneOptions o; o.checkpoint = "runs/digits-hso-001"; o.rule.score = PruneScore::obs; o.sparsity = 0.9;
//   o.schedule = parse_prune_schedule("iterative:10"); o.finetune_epochs = 5;
//   PruneResult r = prune(o);
//
// A stage removes parameters or whole units (removal.hpp) at the current point, then trains what is
// left under the mask. Scores see the training part alone. Whatever of the network is dead afterwards is taken out of
// it (structure.hpp); the rest is stored sparsely.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hsogpu/prune/removal.hpp"
#include "hsogpu/prune/structure.hpp"
#include "hsogpu/train/train.hpp"

namespace hso {

struct PruneSchedule {
  enum class Kind {
    one_shot,
    iterative,  ///< the kept count falls by the same factor in every stage
    gradual,    ///< sparsity s_f + (s_0 - s_f)(1 - k/K)^3 (Zhu and Gupta, ICLR workshop 2018, eq. 1)
    single      ///< one parameter a stage
  };
  Kind kind = Kind::one_shot;
  Index stages = 1;
};
/// "oneshot", "iterative:N", "gradual:N", "single". UsageError otherwise.
PruneSchedule parse_prune_schedule(const std::string& text);
std::string to_string(const PruneSchedule& schedule);
/// Removable parameters that are kept after each stage, from `before` down to `after`; the last entry is `after`.
std::vector<Index> kept_after_stages(const PruneSchedule& schedule, Index before, Index after);

namespace detail {
struct DenseCurvature;
}

struct PruneOptions {
  std::string checkpoint;  ///< a run directory, or one of its checkpoints
  RemovalRule rule{};
  double sparsity =
      0.9;         ///< share of the run's removable parameters that is gone at the end, those masked before included
  Index keep = 0;  ///< instead: this many of all parameters stay; 0: by sparsity
  Granularity granularity = Granularity::weights;
  double multiply_adds =
      0;  ///< not for weights: instead of `sparsity`, the share of the multiply-adds that goes; 0: by sparsity
  PruneSchedule schedule{};
  /// Training after every stage; 0 epochs and 0 steps: none. Its batches follow rule.seed.
  Index finetune_epochs = 0, finetune_steps = 0;
  /// From the run's options those of the training; empty: as the run was trained. Budgets, targets and files are left
  /// out in any case.
  std::function<TrainOptions(const TrainOptions& run)> finetune{};
  std::string device = "auto";
  std::string precision = "float64";  ///< of scores and compensation
  Index rows = 0;                     ///< training rows that the curvature sees, drawn by rule.seed; 0: all
  Index device_batch = 0;             ///< rows on the device at a time; 0: 2,048 at most
  Index timing_rows =
      0;  ///< rows of the measured forward passes; 0: nothing is measured
          /// Where compare_pruning keeps the curvature of a network for the scores that follow; null: nowhere.
  std::shared_ptr<detail::DenseCurvature> memory{};
  Index points = 0;             ///< weights: places along every stage where the loss is measured
  std::string run_directory{};  ///< empty: nothing is written; "###" becomes the first free number
  bool overwrite = false;       ///< a run that is in it may be replaced
};

/// A network's size. Bytes are those of its parameters in a file.
struct NetworkSize {
  Index parameters = 0, nonzero = 0;
  Index bytes = 0;          ///< model.safetensors, or the sparse file where that is smaller and something was removed
  Index multiply_adds = 0;  ///< of one sample, with nonzero weights
  double milliseconds =
      0;  ///< a forward pass of `timing_rows` rows, median of 31 taken in turn with the other network; 0: none
};

/// Along a stage: what the removals so far were predicted to cost (NaN: nothing was), and what they did cost.
struct PrunePoint {
  Index removals = 0;
  double predicted = 0, actual = 0;
};

struct PruneStage {
  Index kept = 0;                              ///< parameters
  double sparsity = 0;                         ///< of all parameters
  double predicted = 0;                        ///< change of the loss; NaN where the score predicts none
  double loss_before = 0, loss_after = 0;      ///< the objective, weight decay included, over the curvature's rows
  Evaluation train, test;                      ///< after removal and compensation
  Evaluation finetuned_train, finetuned_test;  ///< after training, or the same
  std::vector<PrunePoint> points{};
  std::optional<FlatReport> flat{};
  std::vector<std::string> notes{};
  double seconds = 0, finetune_seconds = 0;
};

/// One removal with its place; `actual` is measured where a stage removes one parameter, NaN otherwise.
struct PruneRecord {
  Index stage = 0;
  Removal removal{};
  double actual = 0;
};

struct PruneResult {
  Evaluation train_before, test_before;
  std::vector<PruneStage> stages;
  std::vector<PruneRecord> removals;
  Mask mask;                  ///< of the run's network
  std::vector<double> theta;  ///< of the run's network, removed entries +0
  ShrunkModel shrunk;
  NetworkSize size_before, size_after;  ///< after: of the shrunken network
  double shrink_difference = 0;  ///< largest |output difference| of the shrunken and the masked network over |outputs|
  std::string device, run_directory;
  DataDescription data{};  ///< what was taken from the run's data
  bool complete = false;   ///< false: interrupted after a stage
};

struct PruneHooks {
  std::function<void(const DataDescription&)> on_data;  ///< before anything is computed
  std::function<void(const MemoryPlan&)> on_plan;       ///< behind it; an exception ends the pruning there
  std::function<void(Index stage, const PruneStage&)> on_stage;
  /// Asked after every stage. Under an InterruptScope (interrupt.hpp) a stage is left in its middle as well: the result
  /// is that of the stages before, and Interrupted is thrown where there is none.
  std::function<bool()> interrupted;
  BlockingHook<PruneResult> blocking;  ///< a stage that is left so was none either
};

/// UsageError: a sparsity outside [0, 1), one that is below what is already gone, more than the rule may remove, and
/// what removal.hpp says; InputError: a checkpoint that is missing or broken. Nothing is written unless all is well.
/// The run directory is one that `hso eval --checkpoint` reads (of the shrunken network), with prune.json (the report),
/// removals.csv, and sparse.safetensors.
PruneResult prune(const PruneOptions& options, const PruneHooks& hooks = {});

/// For people.
std::string prune_table(const PruneResult& result);
/// prune.json
std::string prune_json(const PruneOptions& options, const PruneResult& result);

}  // namespace hso
