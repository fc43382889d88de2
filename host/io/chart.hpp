// SPDX-License-Identifier: Apache-2.0
//
// What all pictures of curves share: colours, frames with ticks, curves, bands and legends. Colours are classes of a
// style sheet, c0 to c9 for curves and grid, axis and ground for the rest, so that a page can show a picture in light
// and dark.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "hsogpu/core/types.hpp"
#include "io/svg.hpp"

namespace hso::svg {

/// Curves beyond these begin again.
inline constexpr std::size_t kColours = 10;

/// Every colour has a contrast of at least 3 with the ground (WCAG 2.1, 1.4.11); neighbours in the list also differ for
/// people who cannot tell red from green.
struct Theme {
  std::array<const char*, kColours> curves;
  const char *grid, *axis, *ground;
};
const Theme& light_theme();
const Theme& dark_theme();
/// The rules of the classes, without a tag.
std::string style_sheet(const Theme& theme);

/// What stands at a place of an axis.
struct Tick {
  double at;
  std::string label;
};
/// About `count` round numbers.
std::vector<Tick> number_ticks(double low, double high, int count = 5);
/// The same of shares, in percent.
std::vector<Tick> percent_ticks(double low, double high, int count = 5);
/// Of an axis in powers of ten: whole powers, and 2 and 5 times them where it has fewer than `decades`.
std::vector<Tick> power_ticks(double low, double high, double decades = 2);

/// A rectangle with two axes; y.first is its lower edge.
struct Frame {
  Axis x, y;
  std::vector<Tick> x_ticks, y_ticks;
  std::string x_label;
};
/// Grid, numbers, the lower edge and the label below.
std::string frame(const Frame& frame);

/// Points in pixels; `more`: attributes.
std::string curve(const std::vector<Point>& points, std::size_t colour, const std::string& more = {},
                  const std::string& title = {});
/// Between two curves that go the same way.
std::string band(std::vector<Point> upper, const std::vector<Point>& lower, std::size_t colour);
/// Small squares.
std::string marks(const std::vector<Point>& points, std::size_t colour);
/// Names in the order of their colours, in rows of `columns`; a row is kLegendRow high.
std::string legend(const std::vector<std::string>& names, const Point& corner, double column, Index columns);
inline constexpr double kLegendRow = 20;

}  // namespace hso::svg
