// SPDX-License-Identifier: Apache-2.0
//
// A chart that finds its axes itself: curves over one measure, to stand in an HTML page.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "io/chart.hpp"

namespace hso::svg {

struct Curve {
  std::string name;           ///< in what a browser shows under the pointer
  std::vector<Point> points;  ///< values, x ascending; where y is not finite there is a gap
  std::size_t colour = 0;
  std::string classes{};  ///< of the group that holds the curve
  bool dashed = false;
  std::vector<double> errors{};  ///< of each point, drawn as a band; such a curve is drawn point by point
};

enum class Scale {
  automatic,    ///< logarithmic where all values are above 0 and span more than two decades, else linear
  logarithmic,  ///< values of 0 and below stand on the lower edge; linear where none is above 0
  share         ///< by the logarithm of 1 - value, labelled in percent; values of 1 stand on the upper edge
};

struct LineChart {
  std::string title, x_label;
  std::vector<Curve> curves;
  Scale scale = Scale::automatic;
};

/// Without any finite value: "".
std::string line_chart(const LineChart& chart);

/// A curve of more points is drawn as a line through the medians of stretches, with a band from the least to the
/// greatest value of each.
inline constexpr std::size_t kMostPoints = 600, kStretches = 250;
struct Stretch {
  double x = 0;  ///< of its middle point
  double least = 0, median = 0, greatest = 0;
};
/// The first point, stretches of equal numbers of points, and the last point. Where values are not finite, a stretch of
/// NaN stands behind the one of the others.
std::vector<Stretch> stretches(const std::vector<Point>& points, std::size_t count = kStretches);

}  // namespace hso::svg
