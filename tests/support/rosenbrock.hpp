// SPDX-License-Identifier: Apache-2.0
//
// Rosenbrock's function in pairs, sum over i of 100 (x_{2i+1} - x_{2i}^2)^2 + (1 - x_{2i})^2, with its exact Hessian,
// as an Objective on the CPU. The minimum 0 is at (1, ..., 1).
#pragma once

#include <cmath>
#include <vector>

#include "hsogpu/objective/objective.hpp"

namespace hso::test {

class Rosenbrock final : public Objective<double> {
 public:
  Rosenbrock(Context& context, Index n) : context_(context), n_(n) {}
  Context& context() const override { return context_; }
  Index dimension() const override { return n_; }
  double value(const double* x) override {
    double sum = 0;
    for (Index i = 0; i < n_; i += 2) {
      const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
      sum += 100 * a * a + b * b;
    }
    return sum;
  }
  double gradient(const double* x, double* g) override {
    for (Index i = 0; i < n_; i += 2) {
      const double a = x[i + 1] - x[i] * x[i];
      g[i] = -400 * a * x[i] - 2 * (1 - x[i]);
      g[i + 1] = 200 * a;
    }
    return value(x);
  }
  std::unique_ptr<LinearOperator<double>> curvature(const double* x, Curvature) override {
    return std::make_unique<Hessian>(context_, std::vector<double>(x, x + n_));
  }
  static double distance(const std::vector<double>& x) {
    double sum = 0;
    for (const double v : x) sum += (v - 1) * (v - 1);
    return std::sqrt(sum);
  }

 private:
  struct Hessian final : LinearOperator<double> {
    Hessian(Context& c, std::vector<double> at) : context_(c), x(std::move(at)) {}
    Context& context() const override { return context_; }
    Index dimension() const override { return static_cast<Index>(x.size()); }
    void apply(View<const double> v, View<double> hv) override {
      for (Index k = 0; k < v.lanes; ++k)
        for (std::size_t i = 0; i < x.size(); i += 2) {
          const double h00 = 1200 * x[i] * x[i] - 400 * x[i + 1] + 2, h01 = -400 * x[i];
          const double v0 = v.lane(k)[i], v1 = v.lane(k)[i + 1];
          hv.lane(k)[i] = h00 * v0 + h01 * v1;
          hv.lane(k)[i + 1] = h01 * v0 + 200 * v1;
        }
    }
    Context& context_;
    std::vector<double> x;
  };
  Context& context_;
  Index n_;
};

}  // namespace hso::test
