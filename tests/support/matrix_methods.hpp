// SPDX-License-Identifier: Apache-2.0
//
// Shampoo, SOAP and Muon in float64, written from the papers with plain loops: what the library's are compared with.
// Each takes the gradients in turn and returns what is added to theta.
#pragma once

#include <vector>

#include "hsogpu/graph/model.hpp"
#include "support/cases.hpp"

namespace hso::test {

/// Row-major [rows][columns].
struct Matrix {
  std::size_t rows = 0, columns = 0;
  Numbers entries{};
  Matrix() = default;
  Matrix(std::size_t m, std::size_t n) : rows(m), columns(n), entries(m * n, 0.0) {}
  double& operator()(std::size_t i, std::size_t j) { return entries[i * columns + j]; }
  double operator()(std::size_t i, std::size_t j) const { return entries[i * columns + j]; }
};
Matrix operator*(const Matrix& a, const Matrix& b);
Matrix transposed(const Matrix& a);
Matrix scaled_sum(double alpha, const Matrix& a, double beta, const Matrix& b);

/// Cyclic Jacobi rotations of a symmetric matrix: eigenvectors are the columns of `vectors`.
struct Eigen {
  Numbers values;
  Matrix vectors;
};
Eigen jacobi(Matrix a);

/// One parameter tensor as the methods see it: [out][the rest], a bias one row.
struct Tensor {
  std::size_t offset, rows, columns;
  bool matrix() const { return rows > 1 && columns > 1; }
};
std::vector<Tensor> tensors_of(const std::vector<ParameterInfo>& parameters);

struct ReferenceShampoo {
  std::vector<Tensor> tensors;
  double rate, momentum, beta, epsilon;
  std::size_t refresh, max_dimension;
  bool graft;
  Numbers step(const Numbers& g);

  // state
  std::vector<Matrix> left_{}, right_{}, left_root_{}, right_root_{};
  Numbers velocity_{};
  std::size_t steps_ = 0;
};

struct ReferenceSoap {
  std::vector<Tensor> tensors;
  double rate, beta1, beta2, epsilon, shampoo_beta;
  std::size_t refresh, max_dimension;
  Numbers step(const Numbers& g);

  // state
  std::vector<Matrix> left_{}, right_{}, ql_{}, qr_{};
  Numbers m_{}, v_{};
  std::size_t steps_ = 0;
};

struct ReferenceMuon {
  std::vector<Tensor> tensors;
  double rate, momentum;
  bool nesterov;
  double adam_rate, beta1, beta2, epsilon;
  Numbers step(const Numbers& g);

  // state
  Numbers m_{}, v_{};
  std::size_t steps_ = 0;
};

}  // namespace hso::test
