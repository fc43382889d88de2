// SPDX-License-Identifier: Apache-2.0
//
// Steps of any optimizer until one of the stopping tests says why to stop.
//
//   Buffer<double> theta(*context, start);
//   Summary s = minimize(objective, theta.data());       // HSO in a trust region
//   std::printf("%s: f = %g after %d steps\n", name_of(s.verdict), s.value, s.steps);
//
// theta is left at the best point that was accepted, whatever happens, exceptions of the objective included, which pass
// on to the caller. `gradient` is the only verdict of convergence, and then theta is the point where the test held.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "hsogpu/optimizer.hpp"

namespace hso {

enum class Verdict {
  gradient,        ///< a gradient test holds at theta: converged to a stationary point
  step,            ///< the last step was below the tolerance
  loss,            ///< the last decrease was below the tolerance
  target,          ///< the value is at or below the target
  steps,           ///< the box is full: steps,
  time,            ///< seconds,
  evaluations,     ///< or evaluations
  stalled,         ///< no trial lowers the value any more, with a gradient that is not small: rounding, or a wrong one
  unbounded,       ///< the value falls without end
  not_finite,      ///< value or derivatives at theta are not numbers
  singular,        ///< the method cannot invert the curvature
  stopped_by_user  ///< by the callback
};
const char* name_of(Verdict verdict);

/// A step as the callback and the history see it.
struct StepRecord {
  int step = 0;
  double value = 0;          ///< before the step
  double gradient_norm = 0;  ///< before the step
  double step_norm = 0;
  double seconds = 0;  ///< since the start
  StepStatus status = StepStatus::accepted;
};

/// A test of 0 is off, the box excepted.
struct MinimizeOptions {
  double gradient_absolute = 1e-12;  ///< |g| at most
  double gradient_relative = 0;      ///< |g| at most this times |g| at the start
  /// StepReport::scaled_gradient at most, where the method measures it: independent of the units.
  double gradient_scaled = 1e-7;
  double step = 0;  ///< |s| at most this times |theta|
  double loss = 0;  ///< decrease of an accepted step at most this times |f|
  double target = -std::numeric_limits<double>::infinity();
  int max_steps = 1000;
  std::int64_t max_evaluations = std::numeric_limits<std::int64_t>::max();  ///< values, gradients and products
  double max_seconds = std::numeric_limits<double>::infinity();
  int max_rejections = 5;         ///< steps in a row without an accepted one
  double unbounded_below = 1e15;  ///< f below -this times max(1, |f at the start|), with steps that still grow
  /// After every step; false stops.
  std::function<bool(const StepRecord&, const StepReport&)> callback = {};
};

struct Summary {
  Verdict verdict = Verdict::steps;
  std::string message;       ///< what the numbers of the verdict are, and what the method says
  double value = 0;          ///< at theta
  double gradient_norm = 0;  ///< the last that was measured; at theta where converged
  int steps = 0;             ///< accepted
  std::int64_t values = 0;   ///< evaluations of the value alone
  std::int64_t gradients = 0;
  std::int64_t products = 0;  ///< by the curvature, a dense matrix counting n; their own gradients are not counted
  int solves = 0;             ///< steps that were tried: linear systems
  double seconds = 0;
  std::vector<StepRecord> history;
  StepReport last;  ///< inertia, ranks and residuals of the last step
  bool converged() const { return verdict == Verdict::gradient; }
};

/// theta: n numbers in device memory of the objective's context, the start.
template <class T>
Summary minimize(Optimizer<T>& optimizer, Objective<T>& objective, T* theta, const MinimizeOptions& options = {});

/// HSO in a trust region in units from the curvature's diagonal: the settings for functions of up to a few thousand
/// variables that may be badly scaled. Curvature "hessian", or "ggn" for least squares.
OptimizerSettings robust_settings(const std::string& curvature = "hessian");

/// With "hso" and robust_settings("hessian").
template <class T>
Summary minimize(Objective<T>& objective, T* theta, const MinimizeOptions& options = {});

}  // namespace hso
