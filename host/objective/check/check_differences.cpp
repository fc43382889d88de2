// SPDX-License-Identifier: Apache-2.0
#include "objective/check/check_differences.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace hso::check {
namespace {

constexpr double kResolution = 1e-3;
constexpr int kSteps = 5;

struct Central {
  Vector slope;
  double largest;  ///< |F| at the two points, of which rounding is a share even where F vanishes between them
};
Central central(const DifferenceTask& task, const Vector& v, double h) {
  const Vector plus = task.f(combine(1, task.theta, h, v)), minus = task.f(combine(1, task.theta, -h, v));
  return {combine(0.5 / h, plus, -0.5 / h, minus), std::max(norm(plus), norm(minus))};
}

/// The rounding error of F near theta: second differences whose step is too short for curvature, eps |F| at least. One
/// is about theta, one beside it: where F is odd about theta, as a gradient at a symmetric start, the rounding errors
/// of the first cancel.
double noise(const DifferenceTask& task, const Vector& v, double length) {
  const double h = 0.01 * std::sqrt(task.epsilon) * length;
  const auto at = [&](int steps) { return task.f(combine(1, task.theta, steps * h, v)); };
  const Vector middle = at(0), next = at(1), beside = at(2);
  return std::max({distance(combine(0.5, at(-1), 0.5, next), middle), distance(combine(0.5, next, 0.5, at(3)), beside),
                   2 * task.epsilon * norm(middle)});
}

Difference attempt(const DifferenceTask& task, const Vector& v, const Vector& exact, double h, double rounding) {
  Difference d;
  d.step = h;
  Central at = central(task, v, h);
  rounding = std::max(rounding, 2 * task.epsilon * at.largest);
  d.value = std::move(at.slope);
  const double truncation = distance(central(task, v, 2 * h).slope, d.value) / 3;
  d.error = distance(d.value, exact);
  d.bound = 4 * truncation + 10 * rounding / h;
  d.agreed = d.error <= d.bound;
  d.resolved = 4 * truncation <= 10 * rounding / h;  // as good as these numbers allow
  return d;
}

}  // namespace

Difference compare_difference(const DifferenceTask& task, const Vector& v, const Vector& exact, double scale) {
  const double length = 1 + norm(task.theta), rounding = noise(task, v, length);
  const double unit = scale > 0 ? scale : 1;
  double smallest_error = 0, largest_error = 0, h = std::cbrt(task.epsilon) * length;
  Difference best;
  for (int i = 0; i < kSteps; ++i, h /= 10) {
    Difference d = attempt(task, v, exact, h, rounding);
    d.error /= unit;
    d.bound /= unit;
    // A short step is limited by rounding whatever happens, so there only a small bound counts.
    d.resolved = d.bound <= kResolution || (i == 0 && d.resolved);
    d.shortened = i > 0;
    smallest_error = i == 0 ? d.error : std::min(smallest_error, d.error);
    largest_error = std::max(largest_error, d.error);
    if (d.agreed && d.resolved) return d;
    if (i == 0 || d.bound < best.bound) best = d;
    if (d.resolved && !task.kinks) break;
  }
  best.steady = smallest_error > 0.9 * largest_error;
  return best;
}

}  // namespace hso::check
