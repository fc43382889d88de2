// SPDX-License-Identifier: Apache-2.0
//
// A function that gives its value and gradient alone, and counts how often it is asked.
#pragma once

#include <functional>
#include <utility>

#include "hsogpu/objective/function_objective.hpp"

namespace hso::test {

/// The value and gradient of another function, whose calls are counted, and nothing else.
struct GradientOnly {
  GradientOnly(Context& cpu, Index n, std::function<double(const double*, double*)> f)
      : objective(cpu, n, {.value = [this, f = std::move(f)](const double* x, double* g) {
                    ++(g != nullptr ? gradients : values);
                    return f(x, g);
                  }}) {}
  GradientOnly(Context& cpu, Objective<double>& f)
      : GradientOnly(cpu, f.dimension(),
                     [&f](const double* x, double* g) { return g != nullptr ? f.gradient(x, g) : f.value(x); }) {}
  GradientOnly(const GradientOnly&) = delete;
  std::int64_t values = 0, gradients = 0;
  FunctionObjective<double> objective;
};

}  // namespace hso::test
