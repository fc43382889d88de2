// SPDX-License-Identifier: Apache-2.0
#include "io/svg.hpp"

#include <fmt/format.h>

#include <cmath>

#include "io/chart.hpp"

namespace hso::svg {
namespace {

std::string element(const char* tag, const std::string& attributes, const std::string& title) {
  if (title.empty()) return fmt::format("<{} {}/>\n", tag, attributes);
  return fmt::format("<{0} {1}><title>{2}</title></{0}>\n", tag, attributes, escaped(title));
}

std::string through(const std::vector<Point>& points) {
  std::string out;
  for (const auto& [x, y] : points) out += fmt::format("{:.1f},{:.1f} ", x, y);
  return out;
}

}  // namespace

std::string open(double width, double height) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "font-family=\"sans-serif\">\n<style>{2}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      width, height, style_sheet(light_theme()));
}

std::string line(double x1, double y1, double x2, double y2, const std::string& style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
}

std::string polyline(const std::vector<Point>& points, const std::string& style, const std::string& title) {
  return element("polyline", fmt::format("fill=\"none\" {} points=\"{}\"", style, through(points)), title);
}

std::string polygon(const std::vector<Point>& points, const std::string& style) {
  return element("polygon", fmt::format("{} points=\"{}\"", style, through(points)), {});
}

std::string circle(const Point& centre, double radius, const std::string& style, const std::string& title) {
  return element("circle",
                 fmt::format("{} cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:g}\"", style, centre.first, centre.second, radius),
                 title);
}

std::string text(double x, double y, const char* anchor, const std::string& words, int size) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\">{}</text>\n", x, y, anchor,
                     size, escaped(words));
}

std::vector<double> ticks(double low, double high, int count) {
  const double raw = (high - low) / count, power = std::pow(10, std::floor(std::log10(raw)));
  const double step = raw / power < 1.5   ? power
                      : raw / power < 3.5 ? 2 * power
                      : raw / power < 7.5 ? 5 * power
                                          : 10 * power;
  std::vector<double> out;
  for (double v = std::ceil(low / step) * step; v <= high; v += step) out.push_back(std::abs(v) < step / 2 ? 0 : v);
  return out;
}

std::string escaped(const std::string& words) {
  std::string out;
  for (char c : words)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

}  // namespace hso::svg
