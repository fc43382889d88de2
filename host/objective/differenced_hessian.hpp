// SPDX-License-Identifier: Apache-2.0
//
// The Hessian of a function that gives its gradient alone, by central differences along the coordinates:
//
//   column j = (g(theta + h_j e_j) - g(theta - h_j e_j)) / (2 h_j),  h_j = cbrt(epsilon) |theta_j|
//
// so that every parameter is moved in proportion to its own size (Dennis and Schnabel 1996, section 5.4). Where theta_j
// is 0, |f / g_j| stands for its size, at most 1. A step whose change of the gradient drowns in rounding is lengthened,
// one that leaves the domain is shortened or, where that does not help, taken on one side with the least error.
// The matrix is symmetrised. Its error is the largest of what was asymmetric in it and, of every column with a diagonal
// entry, of the rounding of the gradient, epsilon |g_j| / (h_j |A_jj|), and, on one side, of h_j in units of the size
// of theta_j, the order of what such a quotient leaves out.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "hsogpu/objective/objective.hpp"

namespace hso::detail {

template <class T>
class DifferencedHessian final : public LinearOperator<T> {
 public:
  /// Keeps the objective's reference and a copy of theta. Evaluates nothing yet.
  DifferencedHessian(Objective<T>& objective, const T* theta);
  Context& context() const override { return objective_.context(); }
  Index dimension() const override { return theta_.size(); }
  /// Up to 32 variables the matrix is formed once. Above, a product that comes before `to_dense` is two gradients,
  /// at points along v as in FiniteDifferenceOperator.
  void apply(View<const T> v, View<T> hv) override;
  void to_dense(T* h) override;
  /// Of the matrix that was formed; what central differences reach at best before.
  double relative_error() const override { return error_; }
  std::int64_t gradients() const override { return gradients_; }
  bool stored() const override { return matrix_.size() > 0; }

 private:
  struct Side {
    T at;  ///< its distance from theta, as rounded
    std::vector<T> g;
    bool finite;
  };
  struct Column {
    std::vector<T> entries;  ///< empty where there are none
    double error;            ///< of the diagonal entry, relative
  };
  void form();
  Column column(Index j);
  /// The quotient of two sides; `size` is that of theta_j.
  Column column_of(Index j, const Side& plus, const Side& minus, double size);
  Side side(Index j, double h);
  /// Empty where neither side, or one side and theta, have a finite gradient.
  std::vector<T> quotient(const Side& plus, const Side& minus);
  /// For a theta_j of 0: the length along which the slope changes f by all of its value.
  double unknown_size(Index j);
  const Side& here();

  Objective<T>& objective_;
  Buffer<T> theta_, point_, g_;
  Buffer<T> matrix_;  ///< [n][n] once it is formed
  std::vector<T> host_theta_;
  Side here_{};  ///< at theta, once it is asked for
  double value_ = 0;
  std::int64_t gradients_ = 0;
  double error_;
};

}  // namespace hso::detail
