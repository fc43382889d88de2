// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/spectrum_result.hpp"

namespace hso::cli {
namespace {

constexpr double kWidth = 760, kHeight = 400, kLeft = 70, kRight = 20, kTop = 50, kBottom = 60;
constexpr double kFloor = 1e-6;  // of the largest density: what the logarithmic axis begins at

struct Axes {
  double low, high;    ///< of lambda
  double bottom, top;  ///< log10 of the density
  double x(double v) const { return kLeft + (v - low) / (high - low) * (kWidth - kLeft - kRight); }
  double y(double log10_value) const {
    return kHeight - kBottom - (log10_value - bottom) / (top - bottom) * (kHeight - kTop - kBottom);
  }
};

Axes axes_of(const SpectrumResult& r) {
  Axes a{0, 0, std::log10(kFloor), 0};
  const auto widen = [&](double v) {
    a.low = std::min(a.low, v);
    a.high = std::max(a.high, v);
  };
  for (double v : r.eigenvalues) widen(v);
  if (r.density) {
    widen(r.density->x.front());
    widen(r.density->x.back());
    const double most = *std::max_element(r.density->value.begin(), r.density->value.end());
    a.top = most > 0 ? std::ceil(std::log10(most)) : 0;
    a.bottom = a.top + std::log10(kFloor);
  }
  const double margin = a.high > a.low ? 0.02 * (a.high - a.low) : 1;
  a.low -= margin;
  a.high += margin;
  return a;
}

/// About six round numbers.
std::vector<double> ticks(double low, double high) {
  const double raw = (high - low) / 6, power = std::pow(10, std::floor(std::log10(raw)));
  const double step = raw / power < 1.5   ? power
                      : raw / power < 3.5 ? 2 * power
                      : raw / power < 7.5 ? 5 * power
                                          : 10 * power;
  std::vector<double> out;
  for (double v = std::ceil(low / step) * step; v <= high; v += step) out.push_back(std::abs(v) < step / 2 ? 0 : v);
  return out;
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
}

std::string text(double x, double y, const char* anchor, const std::string& words, int size = 12) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\">{}</text>\n", x, y, anchor,
                     size, words);
}

std::string frame(const Axes& a, bool density) {
  const char* thin = "stroke=\"#ddd\"";
  std::string out;
  for (double v : ticks(a.low, a.high)) {
    out += line(a.x(v), kTop, a.x(v), kHeight - kBottom, thin);
    out += text(a.x(v), kHeight - kBottom + 18, "middle", fmt::format("{:.4g}", v));
  }
  for (double power = std::ceil(a.bottom); density && power <= a.top; ++power) {
    out += line(kLeft, a.y(power), kWidth - kRight, a.y(power), thin);
    out += text(kLeft - 8, a.y(power) + 4, "end", fmt::format("1e{:.0f}", power));
  }
  out += line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "stroke=\"#333\"");
  return out + text((kLeft + kWidth - kRight) / 2, kHeight - 12, "middle", "eigenvalue");
}

std::string curve(const Axes& a, const DensityCurve& c) {
  std::string points;
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    const double value = std::max(std::log10(std::max(c.value[i], 1e-300)), a.bottom);
    points += fmt::format("{:.1f},{:.1f} ", a.x(c.x[i]), a.y(value));
  }
  return fmt::format("<polyline fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"1.5\" points=\"{}\"/>\n", points);
}

std::string escaped(const std::string& words) {
  std::string out;
  for (char c : words) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return out;
}

}  // namespace

std::string to_svg(const SpectrumResult& r) {
  if (!r.density && r.eigenvalues.empty()) return {};
  const Axes a = axes_of(r);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      kWidth, kHeight);
  out += text(kLeft, 22, "start", escaped(fmt::format("{}: {}, n = {}", r.model, r.kind, r.n)), 15);
  const std::string what =
      r.density ? fmt::format("density (log scale, Gaussian of width {:.2g}), eigenvalues as ticks", r.density->sigma)
                : "eigenvalues";
  out += text(kLeft, 40, "start", escaped(what));
  out += frame(a, r.density.has_value());
  double drawn = -1;  // one tick for all eigenvalues of a pixel
  for (double v : r.eigenvalues) {
    if (a.x(v) - drawn < 0.5) continue;
    drawn = a.x(v);
    out += line(drawn, kHeight - kBottom, drawn, kHeight - kBottom - 12, "stroke=\"#d62728\"");
  }
  if (r.density) out += curve(a, *r.density);
  return out + "</svg>\n";
}

}  // namespace hso::cli
