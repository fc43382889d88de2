// SPDX-License-Identifier: Apache-2.0
//
// NIST StRD, nonlinear regression: models, data and certified values, read from tests/data.
#pragma once

#include <vector>

#include "support/residuals.hpp"

namespace hso::test {

struct NistPoint {
  std::vector<double> b, gradient, hessian, gauss_newton;
  double value = 0;  ///< half the residual sum of squares
};

struct NistProblem {
  std::string name;
  std::shared_ptr<const Residuals> residuals;  ///< model - y
  std::vector<std::vector<double>> starts;     ///< two
  std::vector<double> certified, certified_sd;
  std::vector<NistPoint> points;  ///< both starts and the certified values
  double rss = 0;
  int observations = 0;
  /// Orders of the parameters that give the same model: entry i is where parameter i of the certified values stands.
  std::vector<std::vector<int>> permutations;
};

/// Observations from nist_strd/NAME.dat, all else from golden/nist_strd_nonlinear.json.
std::vector<NistProblem> nist_problems();

/// -log10 of the largest relative error over the parameters, of the best permutation.
double correct_digits(const NistProblem& problem, const std::vector<double>& b);

}  // namespace hso::test
