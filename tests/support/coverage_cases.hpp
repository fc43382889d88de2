// SPDX-License-Identifier: Apache-2.0
//
// Matrices of known spectra, and every number with an interval that the library states of them beside its true value.
// The test counts how many intervals miss over a few seeds, bench/coverage.cpp over many.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hsogpu/linalg/spectrum.hpp"

namespace hso::test {

struct CoverageCase {
  std::string name;
  Index n;
  std::vector<double> matrix;         ///< [n][n]
  std::vector<double> values;         ///< ascending
  std::optional<double> lower_bound;  ///< known beforehand
};

/// Flat, clustered, log-spaced over 8 decades, low rank and one outlier with noise, indefinite: all in a random basis,
/// so that probes are no better than they are in general.
std::vector<CoverageCase> coverage_cases(Index n);
/// Hessian and Gauss-Newton matrix of a small network trained on the digits, n = 64 h + 11 h + 10.
std::vector<CoverageCase> trained_network_cases(Index hidden, Index steps);

struct CoverageSizes {
  Index probes = 30, steps = 20, most_steps = 160;
};

/// One estimate from one seed.
struct Observation {
  std::string name;
  double truth;
  Estimate estimate;
  bool covers() const { return estimate.low <= truth && truth <= estimate.high; }
};
template <class T>
std::vector<Observation> observe(LinearOperator<T>& a, const CoverageCase& c, const CoverageSizes& sizes,
                                 std::uint64_t seed);

/// The fewest misses that `trials` intervals of this confidence exceed with a probability of at most `chance`.
int most_misses(int trials, double confidence, double chance);

}  // namespace hso::test
