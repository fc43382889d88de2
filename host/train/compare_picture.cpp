// SPDX-License-Identifier: Apache-2.0
//
// A comparison as a picture: three panels with one logarithmic loss axis.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "hsogpu/train/compare.hpp"
#include "io/chart.hpp"

namespace hso {
namespace {

constexpr double kWidth = 1080, kLeft = 70, kRight = 20, kTop = 56, kPanel = 300, kGap = 30, kPlot = 300;
constexpr double kBottom = kTop + kPlot;
constexpr Index kColumns = 4;        // of the legend
constexpr Index kSamples = 120;      // of a curve
constexpr double kSmallest = 1e-16;  // a loss of 0 is drawn there

struct Measure {
  const char* label;
  double (*of)(const CurvePoint&);
};
constexpr std::array<Measure, 3> kMeasures = {
    {{"optimizer steps", [](const CurvePoint& p) { return static_cast<double>(p.step); }},
     {"seconds in steps", [](const CurvePoint& p) { return p.seconds; }},
     {"gradient-equivalents", [](const CurvePoint& p) { return p.gradient_equivalents; }}}};

double height_of(double loss) { return std::log10(std::max(loss, kSmallest)); }

/// log10 of the loss at x, between the points on a straight line; after the last it stays.
double height_at(const std::vector<CurvePoint>& curve, const Measure& m, double x) {
  const auto after = std::find_if(curve.begin(), curve.end(), [&](const CurvePoint& p) { return m.of(p) > x; });
  if (after == curve.begin()) return height_of(curve.front().loss);
  const CurvePoint& a = *(after - 1);
  if (after == curve.end()) return height_of(a.loss);
  const double share = (x - m.of(a)) / (m.of(*after) - m.of(a));
  return height_of(a.loss) + share * (height_of(after->loss) - height_of(a.loss));
}

std::vector<const CompareRun*> drawn_runs(const ContenderResult& c) {
  std::vector<const CompareRun*> out;
  for (const CompareRun& r : c.runs)
    if (r.counts()) out.push_back(&r);
  return out;
}

struct Band {
  std::vector<double> x, least, median, most;  ///< of log10 loss
};

Band band_of(const std::vector<const CompareRun*>& runs, const Measure& m) {
  double end = 0;
  for (const CompareRun* r : runs) end = std::max(end, m.of(r->curve.back()));
  Band band;
  for (Index i = 0; i <= kSamples; ++i) {
    const double x = end * static_cast<double>(i) / static_cast<double>(kSamples);
    std::vector<double> heights;
    for (const CompareRun* r : runs) heights.push_back(height_at(r->curve, m, x));
    std::sort(heights.begin(), heights.end());
    const std::size_t middle = heights.size() / 2;
    band.x.push_back(x);
    band.least.push_back(heights.front());
    band.most.push_back(heights.back());
    band.median.push_back(heights.size() % 2 == 1 ? heights[middle] : (heights[middle - 1] + heights[middle]) / 2);
  }
  return band;
}

std::string draw(const Band& band, const svg::Axis& x, const svg::Axis& y, std::size_t colour) {
  std::vector<svg::Point> upper, lower, middle;
  for (std::size_t i = 0; i < band.x.size(); ++i) {
    upper.emplace_back(x(band.x[i]), y(band.most[i]));
    lower.emplace_back(x(band.x[i]), y(band.least[i]));
    middle.emplace_back(x(band.x[i]), y(band.median[i]));
  }
  return svg::band(upper, lower, colour) + svg::curve(middle, colour);
}

std::string frame(const svg::Axis& x, const svg::Axis& y, const char* label, bool numbers) {
  svg::Frame f{x, y, svg::number_ticks(x.low, x.high), {}, label};
  for (double power = y.low; power <= y.high; ++power)
    f.y_ticks.push_back({power, numbers ? fmt::format("1e{:.0f}", power) : ""});
  return svg::frame(f);
}

/// Whole powers of ten around all that is drawn.
svg::Axis loss_axis(const Comparison& c) {
  double low = INFINITY, high = -INFINITY;
  for (const ContenderResult& r : c.contenders)
    for (const CompareRun* run : drawn_runs(r))
      for (const CurvePoint& p : run->curve) {
        if (!std::isfinite(p.loss)) continue;
        low = std::min(low, std::floor(height_of(p.loss)));
        high = std::max(high, std::ceil(height_of(p.loss)));
      }
  if (!(low <= high)) low = high = 0;
  return {low, std::max(high, low + 1), kBottom, kTop};
}

std::string panel(const Comparison& c, std::size_t number, const svg::Axis& y) {
  const Measure& m = kMeasures[number];
  std::vector<Band> bands;
  double end = 0;
  for (const ContenderResult& r : c.contenders) {
    const auto runs = drawn_runs(r);
    bands.push_back(runs.empty() ? Band{} : band_of(runs, m));
    if (!runs.empty()) end = std::max(end, bands.back().x.back());
  }
  const double left = kLeft + static_cast<double>(number) * (kPanel + kGap);
  const svg::Axis x{0, end > 0 ? end : 1, left, left + kPanel};
  std::string out = frame(x, y, m.label, number == 0);
  for (std::size_t i = 0; i < bands.size(); ++i)
    if (!bands[i].x.empty()) out += draw(bands[i], x, y, i);
  return out;
}

std::string legend(const Comparison& c) {
  std::vector<std::string> names;
  for (const ContenderResult& r : c.contenders) names.push_back(r.contender.name);
  return svg::legend(names, {kLeft, kBottom + 62}, (kWidth - kLeft - kRight) / static_cast<double>(kColumns), kColumns);
}

}  // namespace

std::string comparison_svg(const Comparison& c) {
  const auto count = static_cast<Index>(c.contenders.size());
  const Index rows = (count + kColumns - 1) / kColumns;
  std::string out = svg::open(kWidth, kBottom + 62 + static_cast<double>(rows) * svg::kLegendRow);
  out += svg::text(kLeft, 22, "start", fmt::format("{} on {}: training loss", c.base.model, c.base.data), 15);
  out += svg::text(kLeft, 42, "start",
                   fmt::format("median of {} seeds, band from least to most; budget {} {:g}", c.seeds,
                               name_of(c.budget.kind), c.budget.amount));
  const svg::Axis y = loss_axis(c);
  for (std::size_t i = 0; i < kMeasures.size(); ++i) out += panel(c, i, y);
  return out + legend(c) + "</svg>\n";
}

}  // namespace hso
