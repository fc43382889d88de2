// SPDX-License-Identifier: Apache-2.0
//
// A dense matrix that owns its memory, as an operator.
#pragma once

#include <memory>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/operators.hpp"

namespace hso::detail {

template <class T>
class OwnedMatrix final : public LinearOperator<T> {
 public:
  OwnedMatrix(Context& context, Index n) : a_(context, checked_multiply(n, n)), product_(context, n, a_.data()) {}
  Context& context() const override { return product_.context(); }
  Index dimension() const override { return product_.dimension(); }
  void apply(View<const T> v, View<T> hv) override { product_.apply(v, hv); }
  void to_dense(T* h) override { context().template ops<T>().copy(a_.size(), a_.data(), h); }
  bool stored() const override { return true; }
  T* data() { return a_.data(); }

 private:
  Buffer<T> a_;
  MatrixOperator<T> product_;
};

/// `fill` writes the [n][n] numbers.
template <class T, class Fill>
std::unique_ptr<LinearOperator<T>> owned_matrix(Context& context, Index n, const Fill& fill) {
  auto matrix = std::make_unique<OwnedMatrix<T>>(context, n);
  fill(matrix->data());
  return matrix;
}

}  // namespace hso::detail
