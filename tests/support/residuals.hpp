// SPDX-License-Identifier: Apache-2.0
//
// Least-squares problems of the literature: residuals over any number type, so that dual numbers give the Jacobian and
// the exact Hessian. Shares nothing with the library.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/dual.hpp"

namespace hso::test {

/// r(b), m numbers from n.
class Residuals {
 public:
  using Single = Dual<double>;
  using Nested = Dual<Single>;
  virtual ~Residuals() = default;
  virtual std::vector<double> at(const std::vector<double>& b) const = 0;
  virtual std::vector<Single> at(const std::vector<Single>& b) const = 0;
  virtual std::vector<Nested> at(const std::vector<Nested>& b) const = 0;
};

/// From a generic function of std::vector<S>.
template <class F>
class ResidualsOf final : public Residuals {
 public:
  explicit ResidualsOf(F f) : f_(std::move(f)) {}
  std::vector<double> at(const std::vector<double>& b) const override { return f_(b); }
  std::vector<Single> at(const std::vector<Single>& b) const override { return f_(b); }
  std::vector<Nested> at(const std::vector<Nested>& b) const override { return f_(b); }

 private:
  F f_;
};
template <class F>
std::shared_ptr<const Residuals> residuals_of(F f) {
  return std::make_shared<ResidualsOf<F>>(std::move(f));
}

/// [m][n]: row k is the gradient of residual k.
inline std::vector<double> jacobian_of(const Residuals& r, const std::vector<double>& b) {
  const std::size_t n = b.size();
  std::vector<double> j;
  std::vector<Residuals::Single> x(b.begin(), b.end());
  for (std::size_t i = 0; i < n; ++i) {
    x[i].d = 1;
    const auto column = r.at(x);
    j.resize(column.size() * n);
    for (std::size_t k = 0; k < column.size(); ++k) j[k * n + i] = column[k].d;
    x[i].d = 0;
  }
  return j;
}

/// The Hessian of sum_k r_k^2 / 2, exact.
inline std::vector<double> hessian_of(const Residuals& r, const std::vector<double>& b) {
  const std::size_t n = b.size();
  std::vector<double> h(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      std::vector<Residuals::Nested> x(b.begin(), b.end());
      x[i].v.d = 1;
      x[j].d.v = 1;
      double sum = 0;
      for (const auto& e : r.at(x)) sum += e.v.v * e.d.d + e.v.d * e.d.v;
      h[i * n + j] = h[j * n + i] = sum;
    }
  return h;
}

}  // namespace hso::test
