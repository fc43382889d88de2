// SPDX-License-Identifier: Apache-2.0
//
// Prunings: what was lost with what was removed.
#include <fmt/format.h>

#include <algorithm>

#include "report/html.hpp"
#include "report/sections.hpp"

namespace hso::report {
namespace {

using Part = LossAndAccuracy PruneLog::*;
using StagePart = LossAndAccuracy PruneStageLog::*;
using Number = double LossAndAccuracy::*;

/// From before the first stage: after the removals of each, and straight above or below after its fine-tuning.
svg::Curve curve_of(const Runs& runs, std::size_t i, const char* part, bool test, Number number) {
  const RunLog& run = runs[i];
  svg::Curve out{fmt::format("{}, {}", run.name, part), {}, i, run_class(i), test};
  if (!run.prune) return out;
  const Part before = test ? &PruneLog::test : &PruneLog::train;
  const StagePart pruned = test ? &PruneStageLog::test : &PruneStageLog::train;
  const StagePart tuned = test ? &PruneStageLog::tuned_test : &PruneStageLog::tuned_train;
  out.points.emplace_back(0, (*run.prune).*before.*number);
  for (const PruneStageLog& s : run.prune->stages)
    for (const StagePart at : {pruned, tuned})
      if (const double value = s.*at.*number; at == pruned || std::isfinite(value))
        out.points.emplace_back(s.sparsity, value);
  return out;
}

std::string over_removed(const Runs& runs, const char* title, Number number, svg::Scale scale) {
  svg::LineChart chart{title, "share removed", {}, scale};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    chart.curves.push_back(curve_of(runs, i, "train", false, number));
    chart.curves.push_back(curve_of(runs, i, "test", true, number));
  }
  return figure(chart);
}

std::string change(const Runs& runs) {
  svg::LineChart chart{"loss change by stage", "share removed", {}};
  for (std::size_t i = 0; i < runs.size(); ++i)
    for (const bool predicted : {false, true}) {
      svg::Curve c{
          fmt::format("{}, {}", runs[i].name, predicted ? "predicted" : "actual"), {}, i, run_class(i), predicted};
      if (runs[i].prune)
        for (const PruneStageLog& s : runs[i].prune->stages)
          c.points.emplace_back(s.sparsity, predicted ? s.predicted : s.actual);
      chart.curves.push_back(c);
    }
  return figure(chart, "(dashed: predicted)");
}

std::string sizes(const Runs& runs) {
  std::vector<std::vector<Cell>> rows{{{"network"}}};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].prune) continue;
    for (const bool after : {false, true}) {
      const auto& values = after ? runs[i].prune->after : runs[i].prune->before;
      std::vector<Cell> row{{swatch(i, runs[i].name) + (after ? " after" : " before")}};
      if (rows.size() == 1)
        for (const auto& [name, value] : values) rows.front().push_back({safe(name), "number"});
      for (std::size_t c = 1; c < rows.front().size(); ++c) {
        const auto at = std::find_if(values.begin(), values.end(),
                                     [&](const auto& v) { return safe(v.first) == rows.front()[c].html; });
        row.push_back({at == values.end() ? "–" : safe(at->second), "number"});
      }
      rows.push_back(std::move(row));
    }
  }
  return rows.size() == 1 ? "" : table(rows, "numbers");
}

}  // namespace

std::string prune_section(const Runs& runs) {
  const std::string charts =
      figures({over_removed(runs, "accuracy", &LossAndAccuracy::accuracy, svg::Scale::share),
               over_removed(runs, "loss", &LossAndAccuracy::loss, svg::Scale::automatic), change(runs)});
  return section("Pruning",
                 "Solid: training part. Dashed: test part. At each share the curve goes from after the removals to "
                 "after the fine-tuning.",
                 charts.empty() ? charts : charts + sizes(runs));
}

}  // namespace hso::report
