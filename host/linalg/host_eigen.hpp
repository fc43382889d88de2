// SPDX-License-Identifier: Apache-2.0
//
// Small symmetric eigenproblems in host memory: what iterative methods project onto.
#pragma once

#include <vector>

#include "hsogpu/core/types.hpp"

namespace hso::detail {

struct HostEigen {
  std::vector<double> values;   ///< ascending
  std::vector<double> vectors;  ///< [m][m], row i is the unit eigenvector of values[i]
};

/// Of A [m][m], row-major, both triangles; the lower one is read. NumericalError when LAPACK does not converge.
HostEigen host_eigh(std::vector<double> a, Index m);

/// Of the tridiagonal matrix with this diagonal [m] and off-diagonal [m - 1], ascending; work of O(m^2).
std::vector<double> host_eigenvalues(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal);

/// The same with vectors.
HostEigen host_eigh_tridiagonal(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal);

/// The Gauss rule of the tridiagonal matrix: its eigenvalues as nodes, ascending, and the squared first components of
/// its unit eigenvectors as weights, without the rest of the vectors: work of O(m^2) (Golub and Welsch, Math. Comp. 23
/// (1969) 221). NumericalError when a node takes more than 60 QL steps.
struct GaussRule {
  std::vector<double> nodes, weights;
};
GaussRule host_gauss_rule(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal);
/// The rule that has `at` for one of its nodes, by another last entry of the diagonal: exact to degree 2m - 2 (Golub,
/// SIAM Rev. 15 (1973) 318).
GaussRule host_radau_rule(std::vector<double> diagonal, const std::vector<double>& off_diagonal, double at);
/// The log of 1 / sum_{j<m} p_j(at)^2, p_j the orthonormal polynomials of the tridiagonal matrix: the largest mass that
/// a measure with these moments can have in one point.
double log_largest_mass(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal, double at);

}  // namespace hso::detail
