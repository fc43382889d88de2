// SPDX-License-Identifier: Apache-2.0
//
// Functions with known answers, as Objectives on the CPU.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include "hsogpu/optim/optimizer.hpp"

namespace hso::test {

/// `base` with `more` on top.
inline OptimizerSettings with(OptimizerSettings base, const OptimizerSettings& more) {
  for (const auto& [key, value] : more) base[key] = value;
  return base;
}

/// f = x'Ax/2 - b'x with a symmetric A [n][n]: gradient Ax - b, Hessian A.
class Quadratic final : public Objective<double> {
 public:
  Quadratic(Context& context, std::vector<double> a, std::vector<double> b)
      : context_(context), a_(std::move(a)), b_(std::move(b)) {}
  Context& context() const override { return context_; }
  Index dimension() const override { return static_cast<Index>(b_.size()); }
  double value(const double* x) override {
    double sum = 0;
    for (std::size_t i = 0; i < b_.size(); ++i) sum += x[i] * (0.5 * row(i, x) - b_[i]);
    return sum;
  }
  double gradient(const double* x, double* g) override {
    for (std::size_t i = 0; i < b_.size(); ++i) g[i] = row(i, x) - b_[i];
    return value(x);
  }
  std::unique_ptr<LinearOperator<double>> curvature(const double*, Curvature) override {
    return std::make_unique<Product>(*this);
  }

 private:
  struct Product final : LinearOperator<double> {
    explicit Product(Quadratic& q) : q_(q) {}
    Context& context() const override { return q_.context_; }
    Index dimension() const override { return q_.dimension(); }
    void apply(View<const double> v, View<double> hv) override {
      for (Index k = 0; k < v.lanes; ++k)
        for (std::size_t i = 0; i < q_.b_.size(); ++i) hv.lane(k)[i] = q_.row(i, v.lane(k));
    }
    Quadratic& q_;
  };
  double row(std::size_t i, const double* x) const {
    double sum = 0;
    for (std::size_t j = 0; j < b_.size(); ++j) sum += a_[i * b_.size() + j] * x[j];
    return sum;
  }
  Context& context_;
  std::vector<double> a_, b_;
};

/// Any value and gradient; curvature by differences.
class Callback final : public Objective<double> {
 public:
  using Function = std::function<double(const double* x, double* g)>;  ///< g may be null
  Callback(Context& context, Index n, Function f) : context_(context), n_(n), f_(std::move(f)) {}
  Context& context() const override { return context_; }
  Index dimension() const override { return n_; }
  double value(const double* x) override { return f_(x, nullptr); }
  double gradient(const double* x, double* g) override { return f_(x, g); }

 private:
  Context& context_;
  Index n_;
  Function f_;
};

}  // namespace hso::test
