// SPDX-License-Identifier: Apache-2.0
#include "optim/step/line_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hso::detail {

const char* name_of(LineSearchStatus status) {
  static const char* const kNames[] = {"satisfied", "decreased", "unbounded", "failed"};
  return kNames[static_cast<int>(status)];
}

namespace {

bool finite(const LinePoint& p) { return std::isfinite(p.value) && std::isfinite(p.slope); }

/// The minimiser of the cubic through values and slopes of both points; the middle where there is none.
double cubic_minimiser(const LinePoint& a, const LinePoint& b) {
  const double d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t);
  const double square = d1 * d1 - a.slope * b.slope;
  const double d2 = std::copysign(std::sqrt(std::max(square, 0.0)), b.t - a.t);
  const double t = b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
  return square >= 0 && std::isfinite(t) ? t : (a.t + b.t) / 2;
}

class StrongWolfe {
 public:
  StrongWolfe(const std::function<LinePoint(double)>& phi, const LinePoint& start, const LineSearchOptions& o)
      : phi_(phi), start_(start), o_(o) {}

  LineSearchResult run() {
    LinePoint before = start_;
    double t = o_.first;
    while (result_.evaluations < o_.evaluations) {
      const LinePoint now = evaluate(t);
      if (now.value == -std::numeric_limits<double>::infinity()) return end(LineSearchStatus::unbounded, before);
      if (accepts(now)) return end(LineSearchStatus::satisfied, now);
      if (!finite(now) || !descends(now) || (before.t > 0 && now.value >= before.value)) return zoom(before, now);
      if (now.slope >= 0) return zoom(now, before);
      if (t >= o_.longest * o_.first) return end(LineSearchStatus::unbounded, now);
      t = std::clamp(cubic_minimiser(before, now), 2 * t, 10 * t);
      before = now;
    }
    return give_up(before);
  }

 private:
  LinePoint evaluate(double t) {
    ++result_.evaluations;
    LinePoint p = phi_(t);
    p.t = t;
    return p;
  }
  /// Strictly: a tiny t demands less than rounding resolves.
  bool descends(const LinePoint& p) const {
    return p.value < start_.value && p.value <= start_.value + o_.decrease * p.t * start_.slope;
  }
  bool accepts(const LinePoint& p) const {
    if (!finite(p) || std::fabs(p.slope) > -o_.curvature * start_.slope) return false;
    if (descends(p)) return true;
    const bool hidden = -o_.decrease * p.t * start_.slope <= o_.noise;
    return hidden && p.value <= start_.value + o_.noise && p.slope <= (2 * o_.decrease - 1) * start_.slope;
  }
  LineSearchResult end(LineSearchStatus status, const LinePoint& point) {
    result_.status = status;
    result_.point = point;
    return result_;
  }
  LineSearchResult give_up(const LinePoint& best) {
    if (best.t > 0) return end(LineSearchStatus::decreased, best);
    return end(LineSearchStatus::failed, start_);
  }

  /// low descends and is the lowest such point so far; the interval to high holds points that satisfy the conditions.
  LineSearchResult zoom(LinePoint low, LinePoint high) {
    while (result_.evaluations < o_.evaluations) {
      const double t = inside(low, high);
      if (t == low.t || t == high.t) break;  // rounding: nothing lies between
      const LinePoint now = evaluate(t);
      if (accepts(now)) return end(LineSearchStatus::satisfied, now);
      if (!finite(now) || !descends(now) || now.value >= low.value) {
        high = now;
      } else {
        if (now.slope * (high.t - low.t) >= 0) high = low;
        low = now;
      }
    }
    return give_up(low);
  }

  static double inside(const LinePoint& low, const LinePoint& high) {
    const double width = high.t - low.t;
    if (!finite(high)) return low.t + width / 4;
    const double share = (cubic_minimiser(low, high) - low.t) / width;
    return low.t + std::clamp(share, 0.1, 0.9) * width;
  }

  const std::function<LinePoint(double)>& phi_;
  LinePoint start_;
  const LineSearchOptions& o_;
  LineSearchResult result_;
};

}  // namespace

LineSearchResult strong_wolfe(const std::function<LinePoint(double t)>& phi, const LinePoint& start,
                              const LineSearchOptions& options) {
  return StrongWolfe(phi, start, options).run();
}

LineSearchResult backtrack(const std::function<double(double t)>& phi, const LinePoint& start,
                           const LineSearchOptions& o) {
  LineSearchResult result;
  result.point = start;
  double t = o.first;
  while (result.evaluations < o.evaluations) {
    ++result.evaluations;
    const double value = phi(t), expected = -t * start.slope;
    if (value == -std::numeric_limits<double>::infinity()) {
      result.status = LineSearchStatus::unbounded;
      return result;
    }
    const bool hidden = t == o.first && expected <= o.noise && value <= start.value + o.noise;
    const bool descends = value < start.value && value <= start.value - o.decrease * expected;
    if (descends || hidden) {
      result.status = LineSearchStatus::satisfied;
      result.point = {t, value, 0};
      return result;
    }
    // Of the parabola through phi(0), phi'(0) and phi(t).
    const double share = std::isfinite(value) ? expected / (2 * (value - start.value + expected)) : 0.25;
    t *= std::clamp(share, 0.1, 0.5);
  }
  return result;
}

LineSearchResult halve(const std::function<double(double t)>& phi, const LinePoint& start, const LineSearchOptions& o) {
  LineSearchResult result;
  for (double t = o.first; result.status == LineSearchStatus::failed && result.evaluations < o.evaluations; t /= 2) {
    ++result.evaluations;
    const double value = phi(t);
    result.point = {t, value, 0};
    if (std::isfinite(value) && value < start.value && value <= start.value + o.decrease * t * start.slope)
      result.status = LineSearchStatus::satisfied;
  }
  return result;
}

}  // namespace hso::detail
