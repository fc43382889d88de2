// SPDX-License-Identifier: Apache-2.0
#include "io/line_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace hso::svg {
namespace {

constexpr double kWidth = 400, kHeight = 250, kLeft = 62, kRight = 14, kTop = 10, kBottom = 46;
constexpr double kSmallest = 1e-16;      // a loss of 0 is drawn there
constexpr std::size_t kMarked = 60;      // points of a curve that are marked one by one
constexpr double kDecadesOfLogAxis = 2;  // beyond which an axis of positive numbers is logarithmic

struct Range {
  double low = INFINITY, high = -INFINITY;
  void take(double v) {
    if (!std::isfinite(v)) return;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return !(low <= high); }
  /// Wider on both sides by this share of its length.
  Range widened(double share) const {
    const double length = high > low ? high - low : high != 0 ? std::abs(high) : 1;
    return {low - share * length, high + share * length};
  }
};

/// What is drawn of a chart: where values lie, and whether by their logarithm.
struct Axes {
  Axis x, y;
  bool logarithmic;
  double least;  ///< above 0
  Point at(const Point& p) const {
    return {x(p.first), y(logarithmic ? std::log10(std::max(p.second, least)) : p.second)};
  }
};

Axes axes_of(const LineChart& chart) {
  Range x, y, positive;
  for (const Curve& c : chart.curves)
    for (std::size_t i = 0; i < c.points.size(); ++i) {
      const auto& [at, value] = c.points[i];
      if (!std::isfinite(value)) continue;
      const double error = c.errors.empty() || !std::isfinite(c.errors[i]) ? 0 : c.errors[i];
      x.take(at);
      y.take(value - error);
      y.take(value + error);
      if (value > kSmallest) positive.take(value);
    }
  x.take(0);
  if (x.high == x.low) x.high = x.low + 1;
  Axes a{{x.low, x.high, kLeft, kWidth - kRight}, {}, false, kSmallest};
  const bool wide = y.low > 0 && std::log10(y.high / y.low) > kDecadesOfLogAxis;
  a.logarithmic = !positive.empty() && (chart.scale == Scale::logarithmic || (chart.scale == Scale::automatic && wide));
  if (a.logarithmic) {
    a.least = positive.low;
    y = Range{std::log10(positive.low), std::log10(positive.high)};
    if (y.high - y.low < 0.1) y = y.high == y.low ? Range{y.low - 0.3, y.high + 0.3} : y;
  }
  y = y.widened(0.04);
  a.y = {y.low, y.high, kHeight - kBottom, kTop};
  return a;
}

/// A point where a value stands, for the pointer.
std::string dot(const Axes& axes, const Curve& c, const Point& p, const std::string& x_label, double radius) {
  return circle(axes.at(p), radius, fmt::format("class=\"c{}\" fill=\"currentColor\"", c.colour % kColours),
                fmt::format("{}: {:.6g} at {} {:.6g}", c.name, p.second, x_label, p.first));
}

std::string error_band(const Axes& axes, const Curve& c) {
  std::vector<Point> upper, lower;
  for (std::size_t i = 0; i < c.points.size(); ++i) {
    const auto& [x, y] = c.points[i];
    if (!std::isfinite(y) || !std::isfinite(c.errors[i])) continue;
    upper.push_back(axes.at({x, y + c.errors[i]}));
    lower.push_back(axes.at({x, y - c.errors[i]}));
  }
  return band(upper, lower, c.colour);
}

std::string drawn(const Axes& axes, const Curve& c, const std::string& x_label) {
  const std::vector<Point> points = c.errors.empty() ? thinned(c.points) : c.points;
  std::string out = fmt::format("<g class=\"{}\">\n", c.classes);
  if (!c.errors.empty()) out += error_band(axes, c);
  std::vector<Point> piece;
  const auto finish = [&] {
    if (piece.size() > 1) out += curve(piece, c.colour, c.dashed ? "stroke-dasharray=\"5 3\"" : "", c.name);
    piece.clear();
  };
  const Point* last = nullptr;
  for (const Point& p : points) {
    if (!std::isfinite(p.second)) {
      finish();
      continue;
    }
    piece.push_back(axes.at(p));
    last = &p;
    if (points.size() <= kMarked) out += dot(axes, c, p, x_label, 2);
  }
  finish();
  if (last != nullptr) out += dot(axes, c, *last, x_label, 3);
  return out + "</g>\n";
}

}  // namespace

std::vector<Point> thinned(const std::vector<Point>& points, std::size_t most) {
  if (points.size() <= most) return points;
  const std::size_t stretches = (most - 2) / 3, inner = points.size() - 2;
  std::vector<Point> out{points.front()};
  for (std::size_t s = 0; s < stretches; ++s) {
    const std::size_t begin = 1 + s * inner / stretches, end = 1 + (s + 1) * inner / stretches;
    std::set<std::size_t> kept;
    std::size_t least = end, greatest = end, gap = end;
    for (std::size_t i = begin; i < end; ++i) {
      if (!std::isfinite(points[i].second)) {
        gap = i;
        continue;
      }
      if (least == end || points[i].second < points[least].second) least = i;
      if (greatest == end || points[i].second > points[greatest].second) greatest = i;
    }
    for (const std::size_t i : {least, greatest, gap})
      if (i < end) kept.insert(i);
    for (const std::size_t i : kept) out.push_back(points[i]);
  }
  out.push_back(points.back());
  return out;
}

std::string line_chart(const LineChart& chart) {
  const auto has_value = [](const Curve& c) {
    return std::any_of(c.points.begin(), c.points.end(), [](const Point& p) { return std::isfinite(p.second); });
  };
  if (std::none_of(chart.curves.begin(), chart.curves.end(), has_value)) return {};
  const Axes a = axes_of(chart);
  const std::vector<Tick> y_ticks = a.logarithmic                 ? power_ticks(a.y.low, a.y.high)
                                    : chart.scale == Scale::share ? percent_ticks(a.y.low, a.y.high)
                                                                  : number_ticks(a.y.low, a.y.high);
  std::string out = fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n", kWidth, kHeight,
                                escaped(chart.title + " by " + chart.x_label));
  out += frame({a.x, a.y, number_ticks(a.x.low, a.x.high, 4), y_ticks, chart.x_label});
  for (const Curve& c : chart.curves)
    if (has_value(c)) out += drawn(a, c, chart.x_label);
  return out + "</svg>\n";
}

}  // namespace hso::svg
