// SPDX-License-Identifier: Apache-2.0
//
// Scores beside each other: every score prunes the same trained networks to the same sparsities.
//
//   PruneOptions base;
//   const auto c = compare_pruning(base, {"runs/a", "runs/b"}, {PruneScore::obs, PruneScore::magnitude}, {0.8, 0.9});
//   std::puts(prune_comparison_table(c).c_str());
//
// The runs are the seeds: train one network with several. A random score and the fine-tuning batches follow
// base.rule.seed plus the run's place in the list. Each pair starts again from the dense network.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hsogpu/prune/prune.hpp"

namespace hso {

/// Accuracies are those of the test part, of the training part where there is none; -1 for regression.
struct PrunedRun {
  std::string checkpoint;
  double dense_accuracy = -1, accuracy = -1, finetuned_accuracy = -1;
  double dense_loss = 0, loss = 0, finetuned_loss = 0;
  double predicted = 0, actual = 0;  ///< change of the training objective, summed over stages
  double seconds = 0;
  std::string failure{};  ///< why there is nothing
};

struct PrunedRow {
  PruneScore score{};
  double sparsity = 0;
  std::vector<PrunedRun> runs;
};

struct PruneComparison {
  PruneOptions base;
  std::vector<PrunedRow> rows;  ///< by score, then sparsity
  std::string device;
  DataDescription data{};  ///< of the first run
  bool complete = false;
};

struct PruneCompareHooks {
  std::function<void(const DataDescription&)> on_data;  ///< of the first run, before it is pruned
  std::function<void(const std::string& line)> on_run;
  std::function<bool()> interrupted;       ///< asked after every run
  BlockingHook<PruneComparison> blocking;  ///< the run that is left so is not there; perhaps none is
};

/// UsageError for empty lists. What prune throws on a run makes that run a failed one, unless all of them fail: then
/// the first error is thrown.
PruneComparison compare_pruning(const PruneOptions& base, const std::vector<std::string>& checkpoints,
                                const std::vector<PruneScore>& scores, const std::vector<double>& sparsities,
                                const PruneCompareHooks& hooks = {});

/// One row for each score and sparsity: mean, least and most over the runs.
std::string prune_comparison_table(const PruneComparison& comparison);
std::string prune_comparison_json(const PruneComparison& comparison);
/// Self-contained: accuracy against sparsity after pruning and, where there is any, after fine-tuning; mean over the
/// runs with a band from the least to the most.
std::string prune_comparison_svg(const PruneComparison& comparison);

/// comparison.{json,svg,txt}, config.toml (of the fine-tuning) and env.json in a run directory ("###" becomes the first
/// free number; a run is replaced where the base says overwrite); returns its path.
std::string write_prune_comparison(const PruneComparison& comparison, const std::string& run_directory);

}  // namespace hso
