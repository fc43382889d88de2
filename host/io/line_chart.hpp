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
  std::string classes;  ///< of the group that holds the curve
  bool dashed = false;
  std::vector<double> errors{};  ///< of each point, drawn as a band; such a curve is not thinned
};

enum class Scale {
  automatic,    ///< logarithmic where all values are above 0 and span more than two decades, else linear
  logarithmic,  ///< values of 0 and below stand on the lower edge; linear where none is above 0
  share         ///< linear, labelled in percent
};

struct LineChart {
  std::string title, x_label;
  std::vector<Curve> curves;
  Scale scale = Scale::automatic;
};

/// Without any finite value: "".
std::string line_chart(const LineChart& chart);

/// Points that a curve is thinned to.
inline constexpr std::size_t kMostPoints = 600;
/// At most `most` of the points (at least 5): the first, the last, and of each stretch between them the least, the
/// greatest and one that is not finite.
std::vector<Point> thinned(const std::vector<Point>& points, std::size_t most = kMostPoints);

}  // namespace hso::svg
