// SPDX-License-Identifier: Apache-2.0
//
// Accuracy against sparsity, one curve a score.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "io/chart.hpp"
#include "prune/pipeline/spread.hpp"

namespace hso {
namespace {

constexpr double kWidth = 1040, kLeft = 70, kTop = 56, kPanel = 440, kGap = 60, kPlot = 320, kBottom = kTop + kPlot;
constexpr double kName = 240;  // of a column of the legend

std::vector<PruneScore> scores_of(const PruneComparison& c) {
  std::vector<PruneScore> out;
  for (const PrunedRow& row : c.rows)
    if (std::find(out.begin(), out.end(), row.score) == out.end()) out.push_back(row.score);
  return out;
}

/// Sparsities are places, not lengths: 0.9, 0.95 and 0.98 would lie on top of each other.
std::vector<double> sparsities_of(const PruneComparison& c) {
  std::vector<double> out;
  for (const PrunedRow& row : c.rows)
    if (std::find(out.begin(), out.end(), row.sparsity) == out.end()) out.push_back(row.sparsity);
  std::sort(out.begin(), out.end());
  return out;
}

/// With marks: a single sparsity makes no line.
std::string curve(const PruneComparison& c, PruneScore score, double PrunedRun::*value, const svg::Axis& x,
                  const svg::Axis& y, std::size_t colour) {
  const std::vector<double> places = sparsities_of(c);
  std::vector<svg::Point> upper, lower, middle;
  for (std::size_t i = 0; i < places.size(); ++i)
    for (const PrunedRow& row : c.rows) {
      if (row.score != score || row.sparsity != places[i]) continue;
      const RunRange r = range_of(row, value);
      if (r.count == 0) continue;
      const double at = x(static_cast<double>(i));
      upper.emplace_back(at, y(r.most));
      lower.emplace_back(at, y(r.least));
      middle.emplace_back(at, y(r.mean));
    }
  if (middle.empty()) return {};
  return svg::band(upper, lower, colour) + svg::curve(middle, colour) + svg::marks(middle, colour);
}

std::string panel(const PruneComparison& c, const char* label, double PrunedRun::*value, double left) {
  const std::vector<double> places = sparsities_of(c);
  const svg::Axis x{0, std::max(1.0, static_cast<double>(places.size()) - 1), left, left + kPanel};
  const svg::Axis y{0, 1, kBottom, kTop};
  svg::Frame frame{x, y, {}, svg::percent_ticks(0, 1), label};
  for (std::size_t i = 0; i < places.size(); ++i)
    frame.x_ticks.push_back({static_cast<double>(i), fmt::format("{:.4g} %", 100 * places[i])});
  std::string out = svg::frame(frame);
  const std::vector<PruneScore> scores = scores_of(c);
  for (std::size_t i = 0; i < scores.size(); ++i) out += curve(c, scores[i], value, x, y, i);
  return out;
}

std::string legend(const PruneComparison& c, Index columns) {
  std::vector<std::string> names;
  for (const PruneScore score : scores_of(c)) names.emplace_back(name_of(score));
  return svg::legend(names, {kLeft, kBottom + 62}, kName, columns);
}

}  // namespace

std::string prune_comparison_svg(const PruneComparison& c) {
  const bool tuned = c.base.finetune_epochs > 0 || c.base.finetune_steps > 0;
  const double width = tuned ? kWidth : kLeft + kPanel + 40;
  const auto columns = static_cast<Index>((width - kLeft) / kName);
  const auto rows = (static_cast<Index>(scores_of(c).size()) + columns - 1) / columns;
  std::size_t runs = 0;
  for (const PrunedRow& row : c.rows) runs = std::max(runs, row.runs.size());
  std::string out = svg::open(width, kBottom + 62 + static_cast<double>(rows) * svg::kLegendRow);
  out += svg::text(kLeft, 22, "start", "Accuracy against the share of parameters removed", 15);
  out += svg::text(kLeft, 42, "start",
                   fmt::format("{}; mean of {} networks, band from least to most", to_string(c.base.schedule), runs));
  out += panel(c, "removed (after pruning)", &PrunedRun::accuracy, kLeft);
  if (tuned) out += panel(c, "removed (after fine-tuning)", &PrunedRun::finetuned_accuracy, kLeft + kPanel + kGap);
  return out + legend(c, columns) + "</svg>\n";
}

}  // namespace hso
