// SPDX-License-Identifier: Apache-2.0
//
// Pieces of SVG pictures: what plots share.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hso::svg {

using Point = std::pair<double, double>;  ///< pixels

/// The opening tag of a picture of its own, its style sheet (chart.hpp) and a white ground; close with "</svg>\n".
std::string open(double width, double height);
/// `style`: attributes.
std::string line(double x1, double y1, double x2, double y2, const std::string& style);
/// `title`: what a browser shows under the pointer; empty: nothing.
std::string polyline(const std::vector<Point>& points, const std::string& style, const std::string& title = {});
std::string polygon(const std::vector<Point>& points, const std::string& style);
std::string circle(const Point& centre, double radius, const std::string& style, const std::string& title = {});
/// `anchor`: start, middle or end. The words are escaped.
std::string text(double x, double y, const char* anchor, const std::string& words, int size = 12);

/// About `count` round numbers in [low, high], low < high.
std::vector<double> ticks(double low, double high, int count = 6);
/// &, <, > and double quotes as text, also inside of attributes.
std::string escaped(const std::string& words);

/// A linear axis: low at `first`, high at `last` (pixels).
struct Axis {
  double low, high, first, last;
  double operator()(double v) const { return first + (v - low) / (high - low) * (last - first); }
};

}  // namespace hso::svg
