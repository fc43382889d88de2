// SPDX-License-Identifier: Apache-2.0
//
// Pieces of a self-contained SVG picture: what plots share.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hso::svg {

using Point = std::pair<double, double>;  ///< pixels

/// The opening tag and a white ground; close with "</svg>\n".
std::string open(double width, double height);
/// `style`: attributes.
std::string line(double x1, double y1, double x2, double y2, const std::string& style);
std::string polyline(const std::vector<Point>& points, const std::string& style);
std::string polygon(const std::vector<Point>& points, const std::string& style);
/// `anchor`: start, middle or end. The words are escaped.
std::string text(double x, double y, const char* anchor, const std::string& words, int size = 12);

/// About `count` round numbers in [low, high], low < high.
std::vector<double> ticks(double low, double high, int count = 6);
/// &, < and > as text.
std::string escaped(const std::string& words);

/// A linear axis: low at `first`, high at `last` (pixels).
struct Axis {
  double low, high, first, last;
  double operator()(double v) const { return first + (v - low) / (high - low) * (last - first); }
};

}  // namespace hso::svg
