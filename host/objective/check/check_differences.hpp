// SPDX-License-Identifier: Apache-2.0
//
// One directional derivative against central differences, with an error estimate that uses F alone.
#pragma once

#include <functional>

#include "objective/check/check_probe.hpp"

namespace hso::check {

/// F: theta -> a vector (the gradient) or one number (the value, as a vector of length 1).
using VectorFunction = std::function<Vector(const Vector&)>;

struct DifferenceTask {
  VectorFunction f;
  const Vector& theta;
  double epsilon;  ///< of the type F is computed in
  bool kinks;      ///< F is not smooth everywhere: shorter steps are tried
};

struct Difference {
  double error = 0;        ///< |D(h) - exact| / scale
  double bound = 0;        ///< 4 truncation + 10 rounding, over scale
  double step = 0;         ///< h
  bool agreed = false;     ///< error <= bound
  bool resolved = false;   ///< the bound is small enough to mean something
  bool shortened = false;  ///< the first step did not do
  bool steady = false;     ///< the disagreement is the same at every step
  Vector value;            ///< D(h)
};

/// The first step that agrees and resolves; where none does, the one with the smallest bound. `scale` is the size that
/// errors are relative to, |v| = 1.
Difference compare_difference(const DifferenceTask& task, const Vector& v, const Vector& exact, double scale);

}  // namespace hso::check
