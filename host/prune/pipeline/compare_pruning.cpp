// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>

#include "hsogpu/core/error.hpp"
#include "hsogpu/core/interrupt.hpp"
#include "hsogpu/data/io.hpp"
#include "hsogpu/prune/compare.hpp"
#include "io/shown_numbers.hpp"
#include "prune/pipeline/spread.hpp"
#include "prune/select/remembered_curvature.hpp"
#include "train/run_directory.hpp"
#include "train/run_files.hpp"

namespace hso {
namespace {

using Json = nlohmann::ordered_json;

PrunedRun measured(const PruneOptions& options, const PruneHooks& hooks, std::string& device) {
  const PruneResult r = prune(options, hooks);
  if (!r.complete) throw Interrupted();  // fewer stages were asked for by nobody
  device = r.device;
  PrunedRun out{options.checkpoint};
  // A dense network without a test part has no loss there.
  const bool tested = !std::isnan(r.test_before.loss);
  const auto accuracy_of = [=](const Evaluation& train, const Evaluation& test) {
    return tested ? test.accuracy : train.accuracy;
  };
  const auto loss_of = [=](const Evaluation& train, const Evaluation& test) { return tested ? test.loss : train.loss; };
  out.dense_accuracy = accuracy_of(r.train_before, r.test_before);
  out.dense_loss = loss_of(r.train_before, r.test_before);
  // Without a stage nothing changed.
  out.accuracy = out.finetuned_accuracy = out.dense_accuracy;
  out.loss = out.finetuned_loss = out.dense_loss;
  for (const PruneStage& s : r.stages) {
    out.accuracy = accuracy_of(s.train, s.test);
    out.loss = loss_of(s.train, s.test);
    out.finetuned_accuracy = accuracy_of(s.finetuned_train, s.finetuned_test);
    out.finetuned_loss = loss_of(s.finetuned_train, s.finetuned_test);
    out.predicted += s.predicted;
    out.actual += s.loss_after - s.loss_before;
    out.seconds += s.seconds + s.finetune_seconds;
  }
  return out;
}

/// `first` keeps the first error.
PrunedRun one_run(const PruneOptions& options, const PruneHooks& hooks, std::string& device,
                  std::exception_ptr& first) {
  try {
    return measured(options, hooks, device);
  } catch (const Error& e) {
    if (!first) first = std::current_exception();
    PrunedRun failed{options.checkpoint};
    failed.failure = e.what();
    return failed;
  }
}

std::string line_of(const PrunedRow& row, const PrunedRun& run) {
  const std::string what = fmt::format("{} {:g} {}: ", name_of(row.score), row.sparsity, run.checkpoint);
  if (!run.failure.empty()) return what + run.failure;
  return what + fmt::format("{} of {}", percent(run.finetuned_accuracy), percent(run.dense_accuracy));
}

std::string spread(const PrunedRow& row, double PrunedRun::*value) {
  const RunRange r = range_of(row, value);
  return fmt::format("{} [{}, {}]", percent(r.mean), percent(r.least), percent(r.most));
}

Json to_json(const PrunedRun& r) {
  Json json{{"checkpoint", r.checkpoint}};
  if (!r.failure.empty()) {
    json["failure"] = r.failure;
    return json;
  }
  json["dense_accuracy"] = r.dense_accuracy;
  json["accuracy"] = r.accuracy;
  json["finetuned_accuracy"] = r.finetuned_accuracy;
  json["dense_loss"] = or_null(r.dense_loss);
  json["loss"] = or_null(r.loss);
  json["finetuned_loss"] = or_null(r.finetuned_loss);
  json["predicted_change"] = or_null(r.predicted);
  json["actual_change"] = or_null(r.actual);
  json["seconds"] = r.seconds;
  return json;
}

bool finetunes(const PruneOptions& o) { return o.finetune_epochs > 0 || o.finetune_steps > 0; }

}  // namespace

PruneComparison compare_pruning(const PruneOptions& base, const std::vector<std::string>& checkpoints,
                                const std::vector<PruneScore>& scores, const std::vector<double>& sparsities,
                                const PruneCompareHooks& hooks) {
  if (checkpoints.empty() || scores.empty() || sparsities.empty())
    throw UsageError("compare_pruning: expected at least one run, one score and one sparsity");
  PruneComparison out;
  out.base = base;
  out.base.run_directory.clear();
  bool any = false;
  std::exception_ptr first;
  PruneHooks of_first;
  of_first.on_data = [&](const DataDescription& data) {
    if (!out.data.data.empty()) return;
    out.data = data;
    if (hooks.on_data) hooks.on_data(data);
  };
  const InterruptScope scope(hooks.blocking, [&] { return out; });
  for (const PruneScore score : scores)
    for (const double sparsity : sparsities) out.rows.push_back({score, sparsity, {}});
  for (std::size_t i = 0; i < checkpoints.size(); ++i) {
    out.base.memory = std::make_shared<detail::DenseCurvature>();
    for (PrunedRow& row : out.rows) {
      PruneOptions options = out.base;
      options.checkpoint = checkpoints[i];
      options.rule.score = row.score;
      options.rule.seed += i;
      options.sparsity = row.sparsity;
      try {
        row.runs.push_back(one_run(options, of_first, out.device, first));
      } catch (const Interrupted&) {
        if (!any) throw;
        return out;
      }
      const PrunedRun& run = row.runs.back();
      any = any || run.failure.empty();
      if (hooks.on_run) hooks.on_run(line_of(row, run));
      if (hooks.interrupted && hooks.interrupted()) return out;
    }
  }
  out.base.memory.reset();
  if (!any) std::rethrow_exception(first);
  out.complete = true;
  return out;
}

std::string prune_comparison_table(const PruneComparison& c) {
  std::string out = fmt::format("{:<13} {:>8}  {:<30} {:<30} {:<30} {:>11} {:>11}\n", "score", "sparsity", "dense",
                                "pruned", finetunes(c.base) ? "fine-tuned" : "", "predicted", "actual");
  for (const PrunedRow& row : c.rows) {
    const RunRange all = range_of(row, &PrunedRun::accuracy);
    if (all.count == 0) {
      out += fmt::format("{:<13} {:>8.4g}  {}\n", name_of(row.score), row.sparsity,
                         row.runs.empty() ? "" : row.runs.front().failure);
      continue;
    }
    const auto change = [&](double PrunedRun::*value) {
      const double mean = range_of(row, value).mean;
      return std::isfinite(mean) ? fmt::format("{:+.3e}", mean) : std::string("-");
    };
    out += fmt::format("{:<13} {:>8.4g}  {:<30} {:<30} {:<30} {:>11} {:>11}\n", name_of(row.score), row.sparsity,
                       spread(row, &PrunedRun::dense_accuracy), spread(row, &PrunedRun::accuracy),
                       finetunes(c.base) ? spread(row, &PrunedRun::finetuned_accuracy) : "",
                       change(&PrunedRun::predicted), change(&PrunedRun::actual));
  }
  return out;
}

std::string prune_comparison_json(const PruneComparison& c) {
  Json json{{"schedule", to_string(c.base.schedule)},
            {"curvature", name_of(c.base.rule.curvature)},
            {"damping", c.base.rule.damping},
            {"compensate", c.base.rule.compensate},
            {"granularity", name_of(c.base.granularity)},
            {"finetune_epochs", c.base.finetune_epochs},
            {"finetune_steps", c.base.finetune_steps},
            {"precision", c.base.precision},
            {"device", c.device},
            {"data", Json::parse(c.data.json())},
            {"complete", c.complete},
            {"rows", Json::array()}};
  for (const PrunedRow& row : c.rows) {
    Json entry{{"score", name_of(row.score)}, {"sparsity", row.sparsity}, {"runs", Json::array()}};
    for (const PrunedRun& run : row.runs) entry["runs"].push_back(to_json(run));
    json["rows"].push_back(std::move(entry));
  }
  json["environment"] = Json::parse(environment_json());
  return json.dump(2) + "\n";
}

std::string write_prune_comparison(const PruneComparison& c, const std::string& run_directory) {
  RunDirectory directory(run_directory, c.base.overwrite);
  write_comparison(c, directory);
  return directory.path();
}

void write_comparison(const PruneComparison& c, RunDirectory& directory) {
  directory.clear();
  write_text_atomically(directory.file("comparison.json"), prune_comparison_json(c));
  write_text_atomically(directory.file("comparison.svg"), prune_comparison_svg(c));
  write_text_atomically(directory.file("comparison.txt"), prune_comparison_table(c));
  write_text_atomically(directory.file("config.toml"), to_toml(c.base.finetune ? c.base.finetune({}) : TrainOptions{}));
  write_text_atomically(directory.file("env.json"), environment_json());
  directory.keep();
}

}  // namespace hso
