// SPDX-License-Identifier: Apache-2.0
//
// More, Garbow and Hillstrom, ACM TOMS 7 (1981) 17: test functions f = sum_k r_k^2, by the paper's numbers.
#pragma once

#include <vector>

#include "support/residuals.hpp"

namespace hso::test {

struct MghPoint {
  std::vector<double> x, gradient, hessian;
  double value = 0;
};

struct MghProblem {
  int number = 0;
  std::string name;
  std::shared_ptr<const Residuals> residuals;
  std::vector<MghPoint> points;  ///< the standard start first
  MghPoint minimum;              ///< without a gradient
};

/// From tests/data/golden/mgh_unconstrained.json.
std::vector<MghProblem> mgh_problems();

}  // namespace hso::test
