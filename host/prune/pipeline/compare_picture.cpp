// SPDX-License-Identifier: Apache-2.0
//
// Accuracy against sparsity, one curve a score.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "io/svg.hpp"
#include "prune/pipeline/spread.hpp"

namespace hso {
namespace {

constexpr double kWidth = 1040, kLeft = 70, kTop = 56, kPanel = 440, kGap = 60, kPlot = 320, kBottom = kTop + kPlot;
constexpr std::array<const char*, 10> kColours = {"#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd",
                                                  "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"};
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

/// A single sparsity makes no line.
std::string marks(const std::vector<svg::Point>& points, const char* ink) {
  std::string out;
  for (const auto& [x, y] : points)
    out +=
        svg::polygon({{x - 3, y - 3}, {x + 3, y - 3}, {x + 3, y + 3}, {x - 3, y + 3}}, fmt::format("fill=\"{}\"", ink));
  return out;
}

std::string curve(const PruneComparison& c, PruneScore score, double PrunedRun::*value, const svg::Axis& x,
                  const svg::Axis& y, const char* ink) {
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
  upper.insert(upper.end(), lower.rbegin(), lower.rend());
  return svg::polygon(upper, fmt::format("fill=\"{}\" fill-opacity=\"0.12\"", ink)) +
         svg::polyline(middle, fmt::format("stroke=\"{}\" stroke-width=\"1.8\"", ink)) + marks(middle, ink);
}

std::string panel(const PruneComparison& c, const char* label, double PrunedRun::*value, double left) {
  const std::vector<double> places = sparsities_of(c);
  const svg::Axis x{0, std::max(1.0, static_cast<double>(places.size()) - 1), left, left + kPanel};
  const svg::Axis y{0, 1, kBottom, kTop};
  const char* thin = "stroke=\"#ddd\"";
  std::string out;
  for (const double v : svg::ticks(0, 1)) {
    out += svg::line(x.first, y(v), x.last, y(v), thin);
    out += svg::text(x.first - 8, y(v) + 4, "end", fmt::format("{:.0f} %", 100 * v), 11);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    const double at = x(static_cast<double>(i));
    out += svg::line(at, kTop, at, kBottom, thin);
    out += svg::text(at, kBottom + 16, "middle", fmt::format("{:.4g} %", 100 * places[i]), 11);
  }
  const std::vector<PruneScore> scores = scores_of(c);
  for (std::size_t i = 0; i < scores.size(); ++i)
    out += curve(c, scores[i], value, x, y, kColours[i % kColours.size()]);
  return out + svg::text((x.first + x.last) / 2, kBottom + 36, "middle", label);
}

std::string legend(const PruneComparison& c, Index columns) {
  std::string out;
  const std::vector<PruneScore> scores = scores_of(c);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto column = static_cast<Index>(i) % columns, row = static_cast<Index>(i) / columns;
    const double x = kLeft + static_cast<double>(column) * kName, y = kBottom + 62 + static_cast<double>(row) * 20;
    out += svg::line(x, y - 4, x + 22, y - 4,
                     fmt::format("stroke=\"{}\" stroke-width=\"3\"", kColours[i % kColours.size()]));
    out += svg::text(x + 28, y, "start", name_of(scores[i]));
  }
  return out;
}

}  // namespace

std::string prune_comparison_svg(const PruneComparison& c) {
  const bool tuned = c.base.finetune_epochs > 0 || c.base.finetune_steps > 0;
  const double width = tuned ? kWidth : kLeft + kPanel + 40;
  const auto columns = static_cast<Index>((width - kLeft) / kName);
  const auto rows = (static_cast<Index>(scores_of(c).size()) + columns - 1) / columns;
  std::size_t runs = 0;
  for (const PrunedRow& row : c.rows) runs = std::max(runs, row.runs.size());
  std::string out = svg::open(width, kBottom + 62 + static_cast<double>(rows) * 20);
  out += svg::text(kLeft, 22, "start", "Accuracy against the share of parameters removed", 15);
  out += svg::text(kLeft, 42, "start",
                   fmt::format("{}; mean of {} networks, band from least to most", to_string(c.base.schedule), runs));
  out += panel(c, "removed (after pruning)", &PrunedRun::accuracy, kLeft);
  if (tuned) out += panel(c, "removed (after fine-tuning)", &PrunedRun::finetuned_accuracy, kLeft + kPanel + kGap);
  return out + legend(c, columns) + "</svg>\n";
}

}  // namespace hso
