// SPDX-License-Identifier: Apache-2.0
//
// A step length t > 0 for phi(t) = f(x + t p) with phi'(0) < 0. Numbers only; the caller evaluates f.
//
// strong_wolfe: phi(t) <= phi(0) + c1 t phi'(0) and |phi'(t)| <= c2 |phi'(0)|, by bracketing and zooming with cubic
// interpolation (Nocedal and Wright 2006, algorithms 3.5 and 3.6, equation 3.59). Where the demanded decrease is below
// `noise`, the first condition may be phi'(t) <= (2 c1 - 1) phi'(0) at a value up to phi(0) + noise (Hager and Zhang,
// SIAM J. Optim. 16 (2005) 170, equation 4.1). backtrack: the first condition alone, from values alone, by quadratic
// interpolation (N&W equation 3.58). A first trial that cannot show a decrease above `noise` is taken at a value up to
// phi(0) + noise. halve: the first condition alone at first, first / 2, first / 4, ...
//
// A trial that is not finite counts as too long: the next one is a quarter of the way, of halve a half.
#pragma once

#include <functional>

namespace hso::detail {

struct LinePoint {
  double t = 0, value = 0, slope = 0;
};

struct LineSearchOptions {
  double decrease = 1e-4;  ///< c1, in (0, 1/2)
  double curvature = 0.9;  ///< c2, in (c1, 1)
  double first = 1;        ///< trial
  double longest = 1e10;   ///< in units of `first`; what still falls there is taken as unbounded below
  double noise = 0;        ///< error of a value
  int evaluations = 20;    ///< at most
};

enum class LineSearchStatus {
  satisfied,  ///< the conditions hold
  decreased,  ///< evaluations are spent; the best point found, with sufficient decrease
  unbounded,  ///< the value is -infinity (`point` is the one before it), or still falls as steeply at the longest t
  failed      ///< no point with sufficient decrease; t = 0
};
const char* name_of(LineSearchStatus status);

struct LineSearchResult {
  LineSearchStatus status = LineSearchStatus::failed;
  LinePoint point;
  int evaluations = 0;
};

/// `phi(t)` gives value and slope; the point that is returned need not be the last one evaluated.
LineSearchResult strong_wolfe(const std::function<LinePoint(double t)>& phi, const LinePoint& start,
                              const LineSearchOptions& options);
/// `phi(t)` gives the value.
LineSearchResult backtrack(const std::function<double(double t)>& phi, const LinePoint& start,
                           const LineSearchOptions& options);
/// The same; where no trial satisfies the condition, `point` is the last one.
LineSearchResult halve(const std::function<double(double t)>& phi, const LinePoint& start,
                       const LineSearchOptions& options);

}  // namespace hso::detail
