// SPDX-License-Identifier: Apache-2.0
//
// A polynomial of an operator that is 1 at a number and small away from it: the Chebyshev series of the delta function
// there, damped by Jackson's coefficients (Li, Xi, Erlandson and Saad, SIAM J. Sci. Comput. 41 (2019) C393, section
// 2.2). Its largest eigenvalues belong to the eigenvalues of A nearest the number, so that Lanczos finds them with a
// small basis; a product with it is `degree` products with A.
#pragma once

#include <vector>

#include "hsogpu/linalg/linear_operator.hpp"

namespace hso::detail {

template <class T>
class FilteredOperator final : public LinearOperator<T> {
 public:
  /// The spectrum of A lies in [low, high], and number in between.
  FilteredOperator(LinearOperator<T>& a, double low, double high, double number, Index degree);
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  void apply(View<const T> v, View<T> hv) override;
  double at(double x) const;                    ///< the polynomial
  Index products() const { return products_; }  ///< with A so far

 private:
  LinearOperator<T>& a_;
  double middle_, half_;
  std::vector<double> coefficients_;  ///< of T_j((x - middle) / half)
  Index products_ = 0;
};

}  // namespace hso::detail
