// SPDX-License-Identifier: Apache-2.0
//
// Residuals of the literature as an objective on the CPU: Jacobian and exact Hessian by dual numbers.
#pragma once

#include <algorithm>

#include "hsogpu/objective/function_objective.hpp"
#include "support/residuals.hpp"

namespace hso::test {

/// `scale` multiplies every residual: sqrt(2) makes f = sum_k r_k^2.
inline LeastSquaresObjective<double> least_squares(Context& cpu, std::shared_ptr<const Residuals> r,
                                                   const std::vector<double>& start, double scale = 1) {
  const std::size_t n = start.size(), m = r->at(start).size();
  const auto point = [n](const double* b) { return std::vector<double>(b, b + n); };
  ResidualCallbacks<double> callbacks;
  callbacks.residuals = [=](const double* b, double* out, double* jacobian) {
    for (double x : r->at(point(b))) *out++ = scale * x;
    if (jacobian == nullptr) return;
    for (double x : jacobian_of(*r, point(b))) *jacobian++ = scale * x;
  };
  callbacks.hessian = [=](const double* b, double* h) {
    for (double x : hessian_of(*r, point(b))) *h++ = scale * scale * x;
  };
  return {cpu, static_cast<Index>(n), static_cast<Index>(m), callbacks};
}

}  // namespace hso::test
