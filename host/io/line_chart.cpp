// SPDX-License-Identifier: Apache-2.0
#include "io/line_chart.hpp"

#include <fmt/format.h>

#include <algorithm>

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

/// What is drawn of a chart: where values lie.
struct Axes {
  Axis x, y;
  enum { linear, logarithmic, share } kind = linear;
  double least = kSmallest;  ///< of the number whose logarithm is taken

  double height(double v) const {
    if (kind == logarithmic) return std::log10(std::max(v, least));
    return kind == share ? -std::log10(std::max(1 - v, least)) : v;
  }
  Point at(const Point& p) const { return {x(p.first), y(height(p.second))}; }
};

struct Ranges {
  Range x, y, positive, error;  ///< of the values; of those above 0; of 1 - value where above 0
};

Ranges ranges_of(const LineChart& chart) {
  Ranges r;
  for (const Curve& c : chart.curves)
    for (std::size_t i = 0; i < c.points.size(); ++i) {
      const auto& [at, value] = c.points[i];
      if (!std::isfinite(value)) continue;
      const double error = c.errors.empty() || !std::isfinite(c.errors[i]) ? 0 : c.errors[i];
      r.x.take(at);
      r.y.take(value - error);
      r.y.take(value + error);
      if (value > kSmallest) r.positive.take(value);
      if (1 - value > kSmallest) r.error.take(1 - value);
    }
  r.x.take(0);
  if (r.x.high == r.x.low) r.x.high = r.x.low + 1;
  return r;
}

Axes axes_of(const LineChart& chart) {
  const Ranges r = ranges_of(chart);
  Axes a{{r.x.low, r.x.high, kLeft, kWidth - kRight}, {}};
  const bool wide = r.y.low > 0 && std::log10(r.y.high / r.y.low) > kDecadesOfLogAxis;
  if (chart.scale == Scale::share && !r.error.empty()) {
    a.kind = Axes::share;
    a.least = r.error.low / 2;
  } else if (!r.positive.empty() && (chart.scale == Scale::logarithmic || (chart.scale == Scale::automatic && wide))) {
    a.kind = Axes::logarithmic;
    a.least = r.positive.low;
  }
  Range y;
  y.take(a.height(r.y.low));
  y.take(a.height(r.y.high));
  if (a.kind != Axes::linear && y.high == y.low) y = {y.low - 0.3, y.high + 0.3};
  y = y.widened(0.04);
  a.y = {y.low, y.high, kHeight - kBottom, kTop};
  return a;
}

/// Errors of 1, 2 and 5 times powers of ten, as shares; round shares where there are few of these.
std::vector<Tick> share_ticks(const Axes& a) {
  std::vector<Tick> out = power_ticks(-a.y.high, -a.y.low, 3);
  const auto share_at = [](double height) { return 1 - std::pow(10, -height); };
  if (out.size() < 3) {
    out = percent_ticks(share_at(a.y.low), share_at(a.y.high));
    for (Tick& tick : out) tick.at = a.height(tick.at);
    return out;
  }
  for (Tick& tick : out) {
    tick.at = -tick.at;
    tick.label = fmt::format("{:.6g} %", 100 * share_at(tick.at));
  }
  const double whole = a.height(1);  // where a value of 1 stands, if there is one
  while (!out.empty() && whole <= a.y.high && std::abs(out.front().at - whole) < 0.15) out.erase(out.begin());
  if (whole <= a.y.high) out.push_back({whole, "100 %"});
  return out;
}

std::vector<Tick> y_ticks(const Axes& a, Scale scale) {
  if (a.kind == Axes::share) return share_ticks(a);
  if (a.kind == Axes::logarithmic) return power_ticks(a.y.low, a.y.high);
  return scale == Scale::share ? percent_ticks(a.y.low, a.y.high) : number_ticks(a.y.low, a.y.high);
}

/// A point where a value stands, for the pointer.
std::string dot(const Axes& axes, const Curve& c, const Point& p, const std::string& x_label, double radius) {
  return circle(axes.at(p), radius, fmt::format("class=\"c{}\" fill=\"currentColor\"", c.colour % kColours),
                fmt::format("{}: {:.6g} at {} {:.6g}", c.name, p.second, x_label, p.first));
}

/// Somewhere higher than half a pixel.
bool is_visible(const std::vector<Point>& upper, const std::vector<Point>& lower) {
  for (std::size_t i = 0; i < upper.size() && upper.size() > 1; ++i)
    if (lower[i].second - upper[i].second > 0.5) return true;
  return false;
}

/// Lines between gaps, with bands below them where the stretches have a width.
std::string drawn(const Axes& axes, const Curve& c, const std::vector<Stretch>& stretches, bool bands) {
  std::string out;
  std::vector<Point> upper, lower, middle;
  const auto finish = [&] {
    if (bands && is_visible(upper, lower)) out += band(upper, lower, c.colour);
    if (middle.size() > 1) out += curve(middle, c.colour, c.dashed ? "stroke-dasharray=\"5 3\"" : "", c.name);
    upper.clear();
    lower.clear();
    middle.clear();
  };
  for (const Stretch& s : stretches) {
    if (!std::isfinite(s.median)) {
      finish();
      continue;
    }
    upper.push_back(axes.at({s.x, s.greatest}));
    lower.push_back(axes.at({s.x, s.least}));
    middle.push_back(axes.at({s.x, s.median}));
  }
  finish();
  return out;
}

/// Every point, with its error.
std::vector<Stretch> single_points(const Curve& c) {
  std::vector<Stretch> out;
  for (std::size_t i = 0; i < c.points.size(); ++i) {
    const auto& [x, y] = c.points[i];
    const double error = c.errors.empty() || !std::isfinite(c.errors[i]) ? 0 : c.errors[i];
    out.push_back({x, y - error, y, y + error});
  }
  return out;
}

std::string drawn(const Axes& axes, const Curve& c, const std::string& x_label) {
  const bool is_long = c.errors.empty() && c.points.size() > kMostPoints;
  std::string out = fmt::format("<g class=\"{}\">\n", c.classes);
  out += drawn(axes, c, is_long ? stretches(c.points) : single_points(c), is_long || !c.errors.empty());
  const Point* last = nullptr;
  for (const Point& p : c.points) {
    if (!std::isfinite(p.second)) continue;
    last = &p;
    if (c.points.size() <= kMarked) out += dot(axes, c, p, x_label, 2);
  }
  if (last != nullptr) out += dot(axes, c, *last, x_label, 3);
  return out + "</g>\n";
}

/// Points begin to end - 1.
void add_stretch(const std::vector<Point>& points, std::size_t begin, std::size_t end, std::vector<Stretch>& out) {
  std::vector<double> values;
  for (std::size_t i = begin; i < end; ++i)
    if (std::isfinite(points[i].second)) values.push_back(points[i].second);
  const double x = points[(begin + end - 1) / 2].first;
  if (!values.empty()) {
    std::sort(values.begin(), values.end());
    out.push_back({x, values.front(), values[values.size() / 2], values.back()});
  }
  if (values.size() < end - begin) out.push_back({x, NAN, NAN, NAN});
}

}  // namespace

std::vector<Stretch> stretches(const std::vector<Point>& points, std::size_t count) {
  std::vector<Stretch> out;
  if (points.empty()) return out;
  const std::size_t size = points.size(), inner = size > 2 ? size - 2 : 0;
  add_stretch(points, 0, 1, out);
  for (std::size_t s = 0; s < std::min(count, inner); ++s)
    add_stretch(points, 1 + s * inner / std::min(count, inner), 1 + (s + 1) * inner / std::min(count, inner), out);
  if (size > 1) add_stretch(points, size - 1, size, out);
  return out;
}

std::string line_chart(const LineChart& chart) {
  const auto has_value = [](const Curve& c) {
    return std::any_of(c.points.begin(), c.points.end(), [](const Point& p) { return std::isfinite(p.second); });
  };
  if (std::none_of(chart.curves.begin(), chart.curves.end(), has_value)) return {};
  const Axes a = axes_of(chart);
  std::string out = fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n", kWidth, kHeight,
                                escaped(chart.title + " by " + chart.x_label));
  out += frame({a.x, a.y, number_ticks(a.x.low, a.x.high, 4), y_ticks(a, chart.scale), chart.x_label});
  for (const Curve& c : chart.curves)
    if (has_value(c)) out += drawn(a, c, chart.x_label);
  return out + "</svg>\n";
}

}  // namespace hso::svg
