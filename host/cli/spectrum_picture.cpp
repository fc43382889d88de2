// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/spectrum_result.hpp"
#include "io/chart.hpp"

namespace hso::cli {
namespace {

constexpr double kWidth = 760, kHeight = 400, kLeft = 70, kRight = 20, kTop = 50, kBottom = 60;
constexpr double kFloor = 1e-6;  // of the largest density: what the logarithmic axis begins at

struct Axes {
  svg::Axis x;  ///< lambda
  svg::Axis y;  ///< log10 of the density
};

Axes axes_of(const SpectrumResult& r) {
  Axes a{{0, 0, kLeft, kWidth - kRight}, {std::log10(kFloor), 0, kHeight - kBottom, kTop}};
  const auto widen = [&](double v) {
    a.x.low = std::min(a.x.low, v);
    a.x.high = std::max(a.x.high, v);
  };
  for (double v : r.eigenvalues) widen(v);
  if (r.density) {
    widen(r.density->x.front());
    widen(r.density->x.back());
    const double most = *std::max_element(r.density->value.begin(), r.density->value.end());
    a.y.high = most > 0 ? std::ceil(std::log10(most)) : 0;
    a.y.low = a.y.high + std::log10(kFloor);
  }
  const double margin = a.x.high > a.x.low ? 0.02 * (a.x.high - a.x.low) : 1;
  a.x.low -= margin;
  a.x.high += margin;
  return a;
}

std::string frame(const Axes& a, bool density) {
  svg::Frame f{a.x, a.y, svg::number_ticks(a.x.low, a.x.high, 6), {}, "eigenvalue"};
  for (double power = std::ceil(a.y.low); density && power <= a.y.high; ++power)
    f.y_ticks.push_back({power, fmt::format("1e{:.0f}", power)});
  return svg::frame(f);
}

std::string curve(const Axes& a, const DensityCurve& c) {
  std::vector<svg::Point> points;
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    const double value = std::max(std::log10(std::max(c.value[i], 1e-300)), a.y.low);
    points.emplace_back(a.x(c.x[i]), a.y(value));
  }
  return svg::curve(points, 0);
}

}  // namespace

std::string to_svg(const SpectrumResult& r) {
  if (!r.density && r.eigenvalues.empty()) return {};
  const Axes a = axes_of(r);
  std::string out = svg::open(kWidth, kHeight);
  out += svg::text(kLeft, 22, "start", fmt::format("{}: {}, n = {}", r.model, r.kind, r.n), 15);
  const std::string what =
      r.density ? fmt::format("density (log scale, Gaussian of width {:.2g}), eigenvalues as ticks", r.density->sigma)
                : "eigenvalues";
  out += svg::text(kLeft, 40, "start", what);
  out += frame(a, r.density.has_value());
  double drawn = -1;  // one tick for all eigenvalues of a pixel
  for (double v : r.eigenvalues) {
    if (a.x(v) - drawn < 0.5) continue;
    drawn = a.x(v);
    out += svg::line(drawn, kHeight - kBottom, drawn, kHeight - kBottom - 12, "class=\"c1\" stroke=\"currentColor\"");
  }
  if (r.density) out += curve(a, *r.density);
  return out + "</svg>\n";
}

}  // namespace hso::cli
