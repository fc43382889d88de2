// SPDX-License-Identifier: Apache-2.0
//
// An operator that owns its matrix, and random symmetric matrices to put into it.
#pragma once

#include <vector>

#include "hsogpu/linalg/operators.hpp"
#include "support/cases.hpp"

namespace hso::test {

template <class T>
std::vector<T> narrow(const Numbers& x) {
  return {x.begin(), x.end()};
}
template <class T>
Numbers widen(const std::vector<T>& x) {
  return {x.begin(), x.end()};
}

template <class T>
class DenseOperator final : public LinearOperator<T> {
 public:
  DenseOperator(Context& context, Index n, Numbers a)
      : host_(std::move(a)), device_(context, Span<const T>(narrow<T>(host_))), matrix_(context, n, device_.data()) {}
  Context& context() const override { return matrix_.context(); }
  Index dimension() const override { return matrix_.dimension(); }
  void apply(View<const T> v, View<T> hv) override {
    products += v.lanes;
    matrix_.apply(v, hv);
  }
  const Numbers& host() const { return host_; }
  const T* data() const { return device_.data(); }
  Index products = 0;

 private:
  Numbers host_;
  Buffer<T> device_;
  MatrixOperator<T> matrix_;
};

/// (B + B') / 2 for normal B: the semicircle on [-sqrt(2n), sqrt(2n)].
inline Numbers random_symmetric(Index n, std::uint64_t seed) {
  const auto m = static_cast<std::size_t>(n);
  const Numbers b = random_numbers(m * m, seed);
  Numbers a(m * m);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < m; ++j) a[i * m + j] = 0.5 * (b[i * m + j] + b[j * m + i]);
  return a;
}

}  // namespace hso::test
