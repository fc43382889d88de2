// SPDX-License-Identifier: Apache-2.0
//
// Symmetric matrices of known spectra, and checks of eigenpairs in units of n eps; plain loops in double.
#pragma once

#include <string>
#include <vector>

#include "hsogpu/core/types.hpp"
#include "support/compare.hpp"

namespace hso::test {

struct SymmetricCase {
  std::string name;
  Index n;
  std::vector<double> matrix;  ///< [n][n]
  std::vector<double> values;  ///< ascending, known beforehand
};

/// Q diag(values) Q' with Q a product of n Householder reflections from `seed`, accumulated in long double.
SymmetricCase with_spectrum(std::string name, std::vector<double> values, std::uint64_t seed);

/// Graded, clustered, repeated, zero, rank-deficient, indefinite, near underflow and near overflow spectra of order n;
/// `tiny` and `huge` are the smallest normal and the largest number of the type under test.
std::vector<SymmetricCase> symmetric_cases(Index n, double tiny, double huge);

/// Many small eigenvalues of both signs around zero and a few large ones, as Hessians of networks have.
SymmetricCase network_like(Index n, std::uint64_t seed);

/// max |A v_i - lambda_i v_i| / (n eps |A|), rows v_i of v [count][n]; `size` is a lower bound of |A|.
double eigen_residual(const std::vector<double>& a, const std::vector<double>& v, const std::vector<double>& values,
                      Index n, double eps);

/// max |V V' - I| / (n eps).
double orthogonality(const std::vector<double>& v, Index n, Index count, double eps);

/// [m][k] times [k][n].
std::vector<double> multiply(const std::vector<double>& a, const std::vector<double>& b, Index m, Index k, Index n);

}  // namespace hso::test
