// SPDX-License-Identifier: Apache-2.0
//
// Charts that find their axes themselves: thinning, scales, gaps, and text from anywhere.
#include "io/line_chart.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/messages.hpp"
#include "support/xml.hpp"

namespace hso {
namespace {

using svg::Curve;
using svg::LineChart;
using svg::Point;
using svg::Scale;
using test::contains;

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t out = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++out;
  return out;
}

std::vector<Point> wave(std::size_t size) {
  std::vector<Point> out;
  for (std::size_t i = 0; i < size; ++i) out.emplace_back(i, std::sin(0.37 * static_cast<double>(i)));
  return out;
}

TEST(LineChart, StretchesKeepEndsExtremesAndGaps) {
  std::vector<Point> points = wave(20000);
  points[777].second = 5;
  points[12345].second = -7;
  points[4000].second = NAN;
  const std::vector<svg::Stretch> few = svg::stretches(points, 100);
  ASSERT_EQ(few.size(), 100u + 2u + 1u);
  EXPECT_EQ(few.front().x, 0);
  EXPECT_EQ(few.front().median, points.front().second);
  EXPECT_EQ(few.back().x, 19999);
  EXPECT_EQ(few.back().median, points.back().second);
  std::size_t gaps = 0;
  for (std::size_t i = 0; i < few.size(); ++i) {
    if (std::isnan(few[i].median)) {
      ++gaps;
      EXPECT_NEAR(few[i].x, 4000, 200);
      continue;
    }
    EXPECT_LE(few[i].least, few[i].median);
    EXPECT_LE(few[i].median, few[i].greatest);
    EXPECT_TRUE(i == 0 || few[i].x >= few[i - 1].x);
    if (i > 0 && i + 1 < few.size()) {  // stretches of about 200 points
      EXPECT_EQ(few[i].greatest == 5, std::abs(few[i].x - 777) <= 100) << few[i].x;
      EXPECT_EQ(few[i].least == -7, std::abs(few[i].x - 12345) <= 100) << few[i].x;
      EXPECT_LT(std::abs(few[i].median), 0.1) << "of a wave";
    }
  }
  EXPECT_EQ(gaps, 1u);
  EXPECT_EQ(svg::stretches(wave(3), 100).size(), 3u) << "no more than there are points";
  EXPECT_EQ(svg::stretches(wave(1)).size(), 1u);
  EXPECT_TRUE(svg::stretches({}).empty());
}

std::string drawn(const std::vector<Point>& points, Scale scale = Scale::automatic) {
  const std::string picture = svg::line_chart({"title", "step", {{"a", points}}, scale});
  EXPECT_EQ(test::xml_fault(picture), "");
  return picture;
}

/// The labels of an axis that stand to the left of the frame.
bool has_label(const std::string& picture, const std::string& label) {
  return contains(picture, "text-anchor=\"end\" font-size=\"11\">" + label + "<");
}

TEST(LineChart, TheScaleFollowsTheValues) {
  EXPECT_TRUE(has_label(drawn({{0, 1}, {1, 1000}}), "10"));
  EXPECT_FALSE(has_label(drawn({{0, 1}, {1, 1000}}), "200"));
  EXPECT_TRUE(has_label(drawn({{0, -1}, {1, 1000}}), "200")) << "linear, for there is a negative value";
  EXPECT_TRUE(has_label(drawn({{0, 0.9}, {1, 0.95}}, Scale::share), "92 %"));
  const std::string wide = drawn({{0, 0.1}, {1, 0.9}, {2, 0.995}, {3, 1}}, Scale::share);
  for (const char* label : {"50 %", "90 %", "99 %", "100 %"})
    EXPECT_TRUE(has_label(wide, label)) << "by the error's logarithm";
  EXPECT_EQ(wide.find("inf"), std::string::npos) << "1 has the error 0";
  EXPECT_NE(drawn({{0, 1}, {1, 1}}, Scale::share), "");
  EXPECT_TRUE(has_label(drawn({{0, 1e-7}, {1, 1}}), "10⁻⁶"));
  EXPECT_TRUE(has_label(drawn({{0, 0.1}, {1, 0.4}}, Scale::logarithmic), "0.2"));
}

TEST(LineChart, ZeroOnALogarithmicAxisStandsBelowEverythingElse) {
  const std::string picture = drawn({{0, 1}, {1, 1e-3}, {2, 0}}, Scale::logarithmic);
  EXPECT_TRUE(contains(picture, "a: 0 at step 2")) << "the value that it has";
  EXPECT_EQ(picture.find("inf"), std::string::npos);
  EXPECT_NE(drawn({{0, 0}, {1, 0}}, Scale::logarithmic), "") << "nothing above 0: linear";
}

TEST(LineChart, WhatIsNotFiniteIsAGap) {
  EXPECT_EQ(count(drawn({{0, 1}, {1, 2}, {2, NAN}, {3, 1}, {4, 2}}), "<polyline"), 2u);
  EXPECT_EQ(count(drawn({{0, 1}, {1, INFINITY}, {2, 3}}), "<polyline"), 0u) << "two points alone";
  EXPECT_EQ(count(drawn({{0, 1}, {1, INFINITY}, {2, 3}}), "<circle"), 3u) << "and the last one again";
  EXPECT_EQ(drawn({{0, 1}, {1, NAN}}).find("nan"), std::string::npos);
  EXPECT_EQ(svg::line_chart({"title", "step", {{"a", {{0, NAN}}}, {"b", {}}}}), "");
}

TEST(LineChart, TextFromOutsideStaysText) {
  LineChart chart{"<b> & \"c\"", "step", {{"\"><script>alert(1)</script>", {{0, 1}, {1, 2}}}}};
  const std::string picture = svg::line_chart(chart);
  EXPECT_EQ(test::xml_fault(picture), "");
  EXPECT_EQ(picture.find("<script"), std::string::npos);
}

TEST(LineChart, LongCurvesHaveNoMarks) {
  EXPECT_EQ(count(drawn(wave(40)), "<circle"), 41u);
  EXPECT_EQ(count(drawn(wave(5000)), "<circle"), 1u) << "the last value";
  EXPECT_LT(drawn(wave(50000)).size(), 20000u);
  EXPECT_EQ(count(drawn(wave(50000)), "<polygon"), 1u) << "the band of minima and maxima";
  EXPECT_EQ(count(drawn(wave(500)), "<polygon"), 0u);
}

}  // namespace
}  // namespace hso
