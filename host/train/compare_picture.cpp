// SPDX-License-Identifier: Apache-2.0
//
// A comparison as a picture: three panels with one logarithmic loss axis.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "hsogpu/train/compare.hpp"
#include "io/svg.hpp"

namespace hso {
namespace {

constexpr double kWidth = 1080, kLeft = 70, kRight = 20, kTop = 56, kPanel = 300, kGap = 30, kPlot = 300,
                 kLegendRow = 20;
constexpr double kBottom = kTop + kPlot;
constexpr Index kColumns = 4;        // of the legend
constexpr Index kSamples = 120;      // of a curve
constexpr double kSmallest = 1e-16;  // a loss of 0 is drawn there
constexpr std::array<const char*, 10> kColours = {"#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd",
                                                  "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"};

struct Measure {
  const char* label;
  double (*of)(const CurvePoint&);
};
constexpr std::array<Measure, 3> kMeasures = {
    {{"optimizer steps", [](const CurvePoint& p) { return static_cast<double>(p.step); }},
     {"seconds in steps", [](const CurvePoint& p) { return p.seconds; }},
     {"gradient-equivalents", [](const CurvePoint& p) { return p.gradient_equivalents; }}}};

const char* colour(std::size_t i) { return kColours[i % kColours.size()]; }
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

std::string draw(const Band& band, const svg::Axis& x, const svg::Axis& y, const char* ink) {
  std::vector<svg::Point> outline, middle;
  for (std::size_t i = 0; i < band.x.size(); ++i) outline.emplace_back(x(band.x[i]), y(band.most[i]));
  for (std::size_t i = band.x.size(); i-- > 0;) outline.emplace_back(x(band.x[i]), y(band.least[i]));
  for (std::size_t i = 0; i < band.x.size(); ++i) middle.emplace_back(x(band.x[i]), y(band.median[i]));
  return svg::polygon(outline, fmt::format("fill=\"{}\" fill-opacity=\"0.15\"", ink)) +
         svg::polyline(middle, fmt::format("stroke=\"{}\" stroke-width=\"1.6\"", ink));
}

std::string frame(const svg::Axis& x, const svg::Axis& y, const char* label, bool numbers) {
  const char* thin = "stroke=\"#ddd\"";
  std::string out;
  for (double v : svg::ticks(x.low, x.high, 5)) {
    out += svg::line(x(v), kTop, x(v), kBottom, thin);
    out += svg::text(x(v), kBottom + 16, "middle", fmt::format("{:.4g}", v), 11);
  }
  for (double power = y.low; power <= y.high; ++power) {
    out += svg::line(x.first, y(power), x.last, y(power), thin);
    if (numbers) out += svg::text(x.first - 8, y(power) + 4, "end", fmt::format("1e{:.0f}", power), 11);
  }
  out += svg::line(x.first, kBottom, x.last, kBottom, "stroke=\"#333\"");
  return out + svg::text((x.first + x.last) / 2, kBottom + 36, "middle", label);
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
    if (!bands[i].x.empty()) out += draw(bands[i], x, y, colour(i));
  return out;
}

std::string legend(const Comparison& c) {
  std::string out;
  for (std::size_t i = 0; i < c.contenders.size(); ++i) {
    const auto column = static_cast<Index>(i) % kColumns, row = static_cast<Index>(i) / kColumns;
    const double x = kLeft + static_cast<double>(column) * (kWidth - kLeft - kRight) / static_cast<double>(kColumns);
    const double y = kBottom + 62 + static_cast<double>(row) * kLegendRow;
    out += svg::line(x, y - 4, x + 22, y - 4, fmt::format("stroke=\"{}\" stroke-width=\"3\"", colour(i)));
    out += svg::text(x + 28, y, "start", c.contenders[i].contender.name);
  }
  return out;
}

}  // namespace

std::string comparison_svg(const Comparison& c) {
  const auto count = static_cast<Index>(c.contenders.size());
  const Index rows = (count + kColumns - 1) / kColumns;
  std::string out = svg::open(kWidth, kBottom + 62 + static_cast<double>(rows) * kLegendRow);
  out += svg::text(kLeft, 22, "start", fmt::format("{} on {}: training loss", c.base.model, c.base.data), 15);
  out += svg::text(kLeft, 42, "start",
                   fmt::format("median of {} seeds, band from least to most; budget {} {:g}", c.seeds,
                               name_of(c.budget.kind), c.budget.amount));
  const svg::Axis y = loss_axis(c);
  for (std::size_t i = 0; i < kMeasures.size(); ++i) out += panel(c, i, y);
  return out + legend(c) + "</svg>\n";
}

}  // namespace hso
