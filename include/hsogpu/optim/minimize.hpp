// SPDX-License-Identifier: Apache-2.0
//
// Steps of any optimizer until one of the stopping tests says why to stop.
//
//   Buffer<double> theta(*context, start);
//   Summary s = minimize(objective, theta);              // HSO in a trust region
//   std::printf("%s: %s\n", name_of(s.termination), s.message.c_str());
//
// theta is left at the best point that was accepted, whatever happens, exceptions of the objective included, which pass
// on to the caller. `Termination::gradient` alone means converged; theta is then the point where the test held.
//
// The tests have no unit. A method that measures the curvature A ends where one of these holds:
//   * StepReport::scaled_gradient <= gradient_scaled: what the quadratic model could still gain is below
//     gradient_scaled^2 |f|.
//   * No trial lowers f any more, and every cosine |g_i| / sqrt(2 |f| |A_ii|) is at most gradient_scaled (MINPACK's
//     test), or the full step of the model moves no parameter by more than rounding, 4 epsilon |theta_i|.
//   * f goes to 0: at three points in a row it is halved at least, |g| is at most 1e-8 of the largest one, the model
//     could gain at most (4 epsilon)^2 times the largest |f|, and the step is at most 1e-7 |theta|; (64 epsilon)^2 and
//     1e-5 where f falls by a constant factor, 2 to 1000, as where the Hessian is singular.
// A method that does not measure it ends at |g| <= gradient_fallback |g at the start|.
//
// A gradient test holds at saddles and maxima too. Where the method measures the eigenvalues of the Hessian (dense
// "hso" with the exact Hessian or differences), or the final look below does, their signs are part of the summary, and
// a point with a negative one is no convergence: the method goes on while it can, and ends as `saddle` where it cannot.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/optim/optimizer.hpp"

namespace hso {

enum class Termination {
  gradient,         ///< a gradient test holds at theta, with no negative eigenvalue that is known: converged
  step,             ///< the last step was below the tolerance
  loss,             ///< the last decrease was below the tolerance
  target,           ///< the value is at or below the target
  steps,            ///< the box is full: steps,
  time,             ///< seconds,
  evaluations,      ///< or evaluations
  stalled,          ///< no trial lowers the value any more, and no gradient test holds: rounding, or a wrong gradient
  unbounded,        ///< the value falls without end
  not_finite,       ///< value or derivatives at theta are not numbers
  singular,         ///< the method cannot invert the curvature
  stopped_by_user,  ///< by the callback
  /// A gradient test holds at theta, or no trial lowers the value and |g| is at most 1e-6 of the largest one, but the
  /// Hessian has negative eigenvalues: a saddle or a maximum.
  saddle
};
const char* name_of(Termination termination);

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
  double gradient_absolute = 0;  ///< |g| at most, which depends on the units; a gradient of zero always ends it
  double gradient_relative = 0;  ///< |g| at most this times |g| at the start
  double gradient_scaled = -1;   ///< as above; negative: 1e-7, of float objectives 3e-4
  /// For methods that do not measure the scaled gradient: |g| at most this times |g| at the start.
  double gradient_fallback = 1e-12;
  double step = 0;  ///< |s| at most this times |theta|
  double loss = 0;  ///< decrease of an accepted step at most this times |f|
  double target = -std::numeric_limits<double>::infinity();
  int max_steps = 1000;
  /// Values, gradients, products and Hessians, looked at between steps.
  std::int64_t max_evaluations = std::numeric_limits<std::int64_t>::max();
  double max_seconds = std::numeric_limits<double>::infinity();
  int max_rejections = 5;         ///< steps in a row without an accepted one
  double unbounded_below = 1e15;  ///< f below -this times max(1, |f at the start|), with steps that still grow
  /// Where a gradient test holds, or no trial lowers f and |g| is at most 1e-6 of the largest one, and the method has
  /// not measured the Hessian's eigenvalues: one dense Hessian tells
  /// their signs, for at most so many variables where the objective has an exact one,
  Index inertia_up_to = 500;
  Index inertia_by_differences_up_to = 0;  ///< and so many where it takes 2n + 1 gradients
  /// After every step; false stops.
  std::function<bool(const StepRecord&, const StepReport&)> callback = {};
};

struct Summary {
  Termination termination = Termination::steps;
  std::string message;       ///< the numbers behind `termination`, and what the method says
  double value = 0;          ///< at theta
  double gradient_norm = 0;  ///< the last that was measured; at theta where converged
  /// Signs of the Hessian's eigenvalues at theta, zero meaning within the rank tolerance or the error of differences,
  /// or negative by no more than the way left to the stationary point may change it; null: unknown, and the message
  /// says so.
  std::optional<Inertia> inertia;
  int steps = 0;            ///< accepted
  std::int64_t values = 0;  ///< evaluations of the value alone
  /// With and without the value, those of differences included.
  std::int64_t gradients = 0;
  /// By the curvature where a product is an evaluation; a dense matrix then counts n. What is formed from a Jacobian or
  /// a matrix at hand counts nothing.
  std::int64_t products = 0;
  std::int64_t hessians = 0;  ///< dense ones that callbacks filled in
  int solves = 0;             ///< steps that were tried: linear systems
  double seconds = 0;
  std::vector<StepRecord> history;
  StepReport last;  ///< inertia, ranks and residuals of the last step
  bool converged() const { return termination == Termination::gradient; }
};

/// theta: the start, device memory of the objective's context. UsageError unless it has as many numbers as the
/// objective has variables.
template <class T>
Summary minimize(Optimizer<T>& optimizer, Objective<T>& objective, Buffer<T>& theta,
                 const MinimizeOptions& options = {});
/// The same for memory that no Buffer owns: vector_view(pointer, n). UsageError where the numbers are not contiguous.
template <class T>
Summary minimize(Optimizer<T>& optimizer, Objective<T>& objective, View<T> theta, const MinimizeOptions& options = {});
/// The same for host memory, whatever the context; theta is copied there and back.
template <class T>
Summary minimize(Optimizer<T>& optimizer, Objective<T>& objective, std::vector<T>& theta,
                 const MinimizeOptions& options = {});

/// HSO in a trust region in units from the curvature's diagonal: the settings for functions of up to a few thousand
/// variables that may be badly scaled. Curvature "hessian", "ggn" for least squares, or "finite_difference"; UsageError
/// for others.
OptimizerSettings robust_settings(const std::string& curvature = "hessian");

/// With "hso" and robust_settings("hessian").
template <class T>
Summary minimize(Objective<T>& objective, Buffer<T>& theta, const MinimizeOptions& options = {});
template <class T>
Summary minimize(Objective<T>& objective, View<T> theta, const MinimizeOptions& options = {});
template <class T>
Summary minimize(Objective<T>& objective, std::vector<T>& theta, const MinimizeOptions& options = {});

}  // namespace hso
