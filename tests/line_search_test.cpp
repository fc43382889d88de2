// SPDX-License-Identifier: Apache-2.0
#include "optim/step/line_search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace hso::detail {
namespace {

using Line = std::function<LinePoint(double)>;
const double kInfinity = std::numeric_limits<double>::infinity();

void expect_strong_wolfe(const Line& phi, const LineSearchResult& r, const LineSearchOptions& o) {
  const LinePoint start = phi(0), at = phi(r.point.t);
  ASSERT_EQ(r.status, LineSearchStatus::satisfied) << name_of(r.status) << " t = " << r.point.t;
  EXPECT_EQ(r.point.value, at.value);
  EXPECT_LE(at.value, start.value + o.decrease * r.point.t * start.slope);
  EXPECT_LE(std::fabs(at.slope), -o.curvature * start.slope);
  EXPECT_LE(r.evaluations, o.evaluations);
}

/// Functions of More and Thuente, ACM TOMS 20 (1994) 286, equations 5.1 and 5.2, and a steep quartic.
std::vector<std::pair<std::string, Line>> lines() {
  return {
      {"more-thuente 1",
       [](double t) {
         const double d = t * t + 2;
         return LinePoint{t, -t / d, -(2 - t * t) / (d * d)};
       }},
      {"more-thuente 2",
       [](double t) {
         const double u = t + 0.004;
         return LinePoint{t, std::pow(u, 5) - 2 * std::pow(u, 4), 5 * std::pow(u, 4) - 8 * std::pow(u, 3)};
       }},
      {"quartic",
       [](double t) {
         return LinePoint{t, std::pow(t - 3, 4), 4 * std::pow(t - 3, 3)};
       }},
  };
}

TEST(LineSearch, FindsStrongWolfePointsFromAnyFirstTrial) {
  for (const auto& [name, phi] : lines()) {
    for (const double first : {1e-3, 1e-1, 1.0, 10.0, 1e3})
      for (const auto& [c1, c2] : {std::pair{1e-4, 0.9}, std::pair{1e-4, 0.1}, std::pair{0.1, 0.11}}) {
        SCOPED_TRACE(name + " first " + std::to_string(first) + " c2 " + std::to_string(c2));
        LineSearchOptions o{c1, c2, first};
        o.evaluations = 40;
        expect_strong_wolfe(phi, strong_wolfe(phi, phi(0), o), o);
      }
  }
}

TEST(LineSearch, TakesTheFirstTrialWhenItWillDo) {
  int calls = 0;
  const Line phi = [&](double t) {
    ++calls;
    return LinePoint{t, (t - 1) * (t - 1), 2 * (t - 1)};
  };
  const LineSearchResult r = strong_wolfe(phi, {0, 1, -2}, {});
  EXPECT_EQ(r.status, LineSearchStatus::satisfied);
  EXPECT_EQ(r.point.t, 1);
  EXPECT_EQ(calls, 1);
}

TEST(LineSearch, ShrinksPastValuesThatAreNotFinite) {
  // log is not defined from t = 0.5 on; its minimum along the line is at 0.25.
  const Line down = [](double t) {
    const double left = 0.5 - t;
    return LinePoint{t, -t - 0.25 * std::log(left), -1 + 0.25 / left};
  };
  LineSearchOptions o;
  o.curvature = 0.1;
  expect_strong_wolfe(down, strong_wolfe(down, down(0), o), o);
  const LineSearchResult b = backtrack([&](double t) { return down(t).value; }, down(0), o);
  EXPECT_EQ(b.status, LineSearchStatus::satisfied);
  EXPECT_LT(b.point.value, down(0).value);
  EXPECT_GT(b.evaluations, 1);
}

TEST(LineSearch, SaysWhatIsUnboundedBelow) {
  const Line line = [](double t) { return LinePoint{t, -t, -1}; };
  LineSearchOptions o;
  o.evaluations = 60;
  const LineSearchResult r = strong_wolfe(line, line(0), o);
  EXPECT_EQ(r.status, LineSearchStatus::unbounded);
  EXPECT_GE(r.point.t, o.longest);
  const Line cliff = [](double t) { return LinePoint{t, t < 5 ? -t : -kInfinity, -1}; };
  const LineSearchResult c = strong_wolfe(cliff, cliff(0), o);
  EXPECT_EQ(c.status, LineSearchStatus::unbounded);
  EXPECT_LT(c.point.t, 5);
  EXPECT_EQ(backtrack([&](double t) { return cliff(10 * t).value; }, cliff(0), o).status, LineSearchStatus::unbounded);
}

TEST(LineSearch, EndsWithinItsEvaluations) {
  const Line up = [](double t) { return LinePoint{t, t == 0 ? 0 : 1 + t, t == 0 ? -1.0 : 1.0}; };  // a wrong slope
  LineSearchOptions o;
  o.evaluations = 7;
  const LineSearchResult r = strong_wolfe(up, up(0), o);
  EXPECT_EQ(r.status, LineSearchStatus::failed);
  EXPECT_EQ(r.evaluations, 7);
  EXPECT_EQ(r.point.t, 0);
  const LineSearchResult b = backtrack([&](double t) { return up(t).value; }, up(0), o);
  EXPECT_EQ(b.status, LineSearchStatus::failed);
  EXPECT_EQ(b.evaluations, 7);
  // Too few to meet a tight curvature condition: the best point is kept.
  const Line far = [](double t) { return LinePoint{t, std::pow(t - 300, 2), 2 * (t - 300)}; };
  o.curvature = 1e-3;
  o.evaluations = 2;
  const LineSearchResult best = strong_wolfe(far, far(0), o);
  EXPECT_EQ(best.status, LineSearchStatus::decreased);
  EXPECT_LT(best.point.value, far(0).value);
}

TEST(LineSearch, AcceptsWhatRoundingHides) {
  // A decrease of 1e-20 on a value of 1: only the slopes show it.
  const Line phi = [](double t) { return LinePoint{t, 1 + (t == 0 ? 0 : 2e-16), 1e-20 * (t - 1)}; };
  LineSearchOptions o;
  EXPECT_EQ(strong_wolfe(phi, phi(0), o).status, LineSearchStatus::failed);
  o.noise = 1e-15;
  EXPECT_EQ(strong_wolfe(phi, phi(0), o).status, LineSearchStatus::satisfied);
  EXPECT_EQ(backtrack([&](double t) { return phi(t).value; }, phi(0), o).status, LineSearchStatus::satisfied);
}

}  // namespace
}  // namespace hso::detail
