// SPDX-License-Identifier: Apache-2.0
#include "io/chart.hpp"

#include <fmt/format.h>

#include <cmath>

namespace hso::svg {
namespace {

std::string coloured(std::size_t colour) { return fmt::format("class=\"c{}\"", colour % kColours); }

template <class Label>
std::vector<Tick> labelled(const std::vector<double>& places, const Label& label) {
  std::vector<Tick> out;
  for (const double v : places) out.push_back({v, label(v)});
  return out;
}

/// Whole numbers without an exponent as long as they fit under a tick.
std::string number_label(double v) {
  return std::abs(v) < 1e6 && v == std::floor(v) ? fmt::format("{:.0f}", v) : fmt::format("{:.4g}", v);
}

/// "10" with the exponent above; plain numbers where these are short.
std::string power_label(int exponent, int factor) {
  if (exponent >= -3 && exponent <= 3) return fmt::format("{:g}", factor * std::pow(10.0, exponent));
  static constexpr std::array<const char*, 10> kDigits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out = factor == 1 ? "10" : fmt::format("{}·10", factor);
  for (const char c : fmt::to_string(exponent)) out += c == '-' ? "⁻" : kDigits[static_cast<std::size_t>(c - '0')];
  return out;
}

}  // namespace

const Theme& light_theme() {
  static constexpr Theme theme = {
      {"#0b63b5", "#c2500c", "#0a7d5a", "#8a3fa0", "#8d6b00", "#c0326e", "#107a94", "#5a5f68", "#5548c8", "#7a4a2b"},
      "#e3e5e8",
      "#5a6069",
      "#ffffff"};
  return theme;
}

const Theme& dark_theme() {
  static constexpr Theme theme = {
      {"#62aefb", "#ff9d5c", "#45cfa0", "#d794ea", "#e2c04a", "#ff8ab8", "#5ccbe6", "#b4bac4", "#a9a0ff", "#d9a786"},
      "#2f353d",
      "#9aa3ae",
      "#15181c"};
  return theme;
}

std::string style_sheet(const Theme& theme) {
  std::string out;
  for (std::size_t i = 0; i < kColours; ++i) out += fmt::format(".c{}{{color:{}}}", i, theme.curves[i]);
  return out + fmt::format(".grid{{stroke:{}}}.axis{{stroke:{}}}", theme.grid, theme.axis);
}

std::vector<Tick> number_ticks(double low, double high, int count) {
  return labelled(ticks(low, high, count), number_label);
}

std::vector<Tick> percent_ticks(double low, double high, int count) {
  return labelled(ticks(low, high, count), [](double v) { return fmt::format("{:.4g} %", 100 * v); });
}

std::vector<Tick> power_ticks(double low, double high, double decades) {
  const int first = static_cast<int>(std::floor(low)), last = static_cast<int>(std::ceil(high));
  const int every = 1 + (last - first) / 9;
  std::vector<Tick> out;
  for (int exponent = first; exponent <= last; ++exponent)
    for (const int factor : {1, 2, 5}) {
      const double at = exponent + std::log10(factor);
      if (at < low - 1e-9 || at > high + 1e-9) continue;
      if (factor == 1 ? exponent % every == 0 : high - low < decades)
        out.push_back({at, power_label(exponent, factor)});
    }
  return out;
}

std::string frame(const Frame& f) {
  const double bottom = f.y.first, top = f.y.last;
  std::string out;
  for (const Tick& tick : f.x_ticks) {
    out += line(f.x(tick.at), top, f.x(tick.at), bottom, "class=\"grid\"");
    out += text(f.x(tick.at), bottom + 16, "middle", tick.label, 11);
  }
  for (const Tick& tick : f.y_ticks) {
    out += line(f.x.first, f.y(tick.at), f.x.last, f.y(tick.at), "class=\"grid\"");
    if (!tick.label.empty()) out += text(f.x.first - 8, f.y(tick.at) + 4, "end", tick.label, 11);
  }
  out += line(f.x.first, bottom, f.x.last, bottom, "class=\"axis\"");
  return out + text((f.x.first + f.x.last) / 2, bottom + 36, "middle", f.x_label);
}

std::string curve(const std::vector<Point>& points, std::size_t colour, const std::string& more,
                  const std::string& title) {
  return polyline(points,
                  fmt::format("{} stroke=\"currentColor\" stroke-width=\"1.7\" stroke-linejoin=\"round\"{}{}",
                              coloured(colour), more.empty() ? "" : " ", more),
                  title);
}

std::string band(std::vector<Point> upper, const std::vector<Point>& lower, std::size_t colour) {
  upper.insert(upper.end(), lower.rbegin(), lower.rend());
  return polygon(upper, coloured(colour) + " fill=\"currentColor\" fill-opacity=\"0.14\"");
}

std::string marks(const std::vector<Point>& points, std::size_t colour) {
  std::string out;
  for (const auto& [x, y] : points)
    out += polygon({{x - 3, y - 3}, {x + 3, y - 3}, {x + 3, y + 3}, {x - 3, y + 3}},
                   coloured(colour) + " fill=\"currentColor\"");
  return out;
}

std::string legend(const std::vector<std::string>& names, const Point& corner, double column, Index columns) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto at = static_cast<Index>(i);
    const double x = corner.first + static_cast<double>(at % columns) * column;
    const double y = corner.second + static_cast<double>(at / columns) * kLegendRow;
    out += line(x, y - 4, x + 22, y - 4, coloured(i) + " stroke=\"currentColor\" stroke-width=\"3\"");
    out += text(x + 28, y, "start", names[i]);
  }
  return out;
}

}  // namespace hso::svg
