// SPDX-License-Identifier: Apache-2.0
//
// What operators know of themselves beside their products: error of entries, gradients spent, whether stored.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "hsogpu/operators.hpp"

namespace hso::detail {

/// What an operator knows about itself beside its products, for those who judge its eigenvalues or count what it costs.
class CurvatureTraits {
 public:
  virtual ~CurvatureTraits() = default;
  /// Error of the entries, relative to the largest one where rows and columns are balanced. 0: rounding alone.
  virtual double relative_error() const { return 0; }
  /// Gradients that it has evaluated.
  virtual std::int64_t gradients() const { return 0; }
  /// The matrix, or the Jacobian that makes it, is at hand: products evaluate nothing.
  virtual bool stored() const { return false; }
};

template <class T>
double relative_error_of(const LinearOperator<T>& a) {
  if (const auto* traits = dynamic_cast<const CurvatureTraits*>(&a)) return traits->relative_error();
  const bool differences = dynamic_cast<const FiniteDifferenceOperator<T>*>(&a) != nullptr;
  return differences ? std::pow(static_cast<double>(std::numeric_limits<T>::epsilon()), 2.0 / 3) : 0;
}

template <class T>
bool is_stored(const LinearOperator<T>& a) {
  if (const auto* traits = dynamic_cast<const CurvatureTraits*>(&a)) return traits->stored();
  return dynamic_cast<const MatrixOperator<T>*>(&a) != nullptr;
}

}  // namespace hso::detail
