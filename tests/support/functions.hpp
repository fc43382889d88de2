// SPDX-License-Identifier: Apache-2.0
//
// Functions with exact Hessians and named slices, as Objectives on the CPU.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "hsogpu/linalg/operators.hpp"
#include "hsogpu/objective/objective.hpp"

namespace hso::test {

/// f, its gradient and its Hessian [n][n]; g and h may be null. The layout may be given.
class Smooth final : public Objective<double> {
 public:
  using Function = std::function<double(const double* x, double* g, double* h)>;
  Smooth(Context& context, Index n, Function f, std::vector<ParameterSlice> layout = {})
      : context_(context), n_(n), f_(std::move(f)), layout_(std::move(layout)) {}
  Context& context() const override { return context_; }
  Index dimension() const override { return n_; }
  double value(const double* x) override { return f_(x, nullptr, nullptr); }
  double gradient(const double* x, double* g) override { return f_(x, g, nullptr); }
  std::unique_ptr<LinearOperator<double>> curvature(const double* x, Curvature) override {
    hessian_.resize(static_cast<std::size_t>(n_ * n_));
    f_(x, nullptr, hessian_.data());
    return std::make_unique<MatrixOperator<double>>(context_, n_, hessian_.data());
  }
  std::vector<ParameterSlice> layout() const override {
    return layout_.empty() ? Objective<double>::layout() : layout_;
  }

 private:
  Context& context_;
  Index n_;
  Function f_;
  std::vector<ParameterSlice> layout_;
  std::vector<double> hessian_;  ///< of the operator made last
};

/// x'Ax/2 - b'x
inline Smooth::Function quadratic(std::vector<double> a, std::vector<double> b) {
  return [a = std::move(a), b = std::move(b)](const double* x, double* g, double* h) {
    const std::size_t n = b.size();
    if (h != nullptr) std::copy(a.begin(), a.end(), h);
    double f = 0;
    for (std::size_t i = 0; i < n; ++i) {
      double ax = 0;
      for (std::size_t j = 0; j < n; ++j) ax += a[i * n + j] * x[j];
      f += x[i] * (0.5 * ax - b[i]);
      if (g != nullptr) g[i] = ax - b[i];
    }
    return f;
  };
}

/// (x^2 - y^2) / 2 + y^4 / 4: a strict saddle at 0, minima -1/4 at (0, -1) and (0, 1).
inline double saddle(const double* x, double* g, double* h) {
  const double y = x[1], yy = y * y;
  if (g != nullptr) g[0] = x[0], g[1] = -y + yy * y;
  if (h != nullptr) h[0] = 1, h[1] = h[2] = 0, h[3] = -1 + 3 * yy;
  return 0.5 * (x[0] * x[0] - yy) + 0.25 * yy * yy;
}

/// (1 - x)^2 + 100 (y - x^2)^2, minimum 0 at (1, 1).
inline double rosenbrock(const double* x, double* g, double* h) {
  const double u = 1 - x[0], v = x[1] - x[0] * x[0];
  if (g != nullptr) g[0] = -2 * u - 400 * x[0] * v, g[1] = 200 * v;
  if (h != nullptr) h[0] = 2 - 400 * v + 800 * x[0] * x[0], h[1] = h[2] = -400 * x[0], h[3] = 200;
  return u * u + 100 * v * v;
}

/// Powell's singular function (1962): (a + 10 b)^2 + 5 (c - d)^2 + (b - 2 c)^4 + 10 (a - d)^4, minimum 0 at 0, where
/// the Hessian has rank 2.
inline double powell_singular(const double* x, double* g, double* h) {
  struct Part {
    double a[4], weight;
    int power;
  };
  static const Part kParts[] = {
      {{1, 10, 0, 0}, 1, 2}, {{0, 0, 1, -1}, 5, 2}, {{0, 1, -2, 0}, 1, 4}, {{1, 0, 0, -1}, 10, 4}};
  double f = 0;
  for (int i = 0; i < 4 && g != nullptr; ++i) g[i] = 0;
  for (int i = 0; i < 16 && h != nullptr; ++i) h[i] = 0;
  for (const Part& p : kParts) {
    double r = 0;
    for (int i = 0; i < 4; ++i) r += p.a[i] * x[i];
    const double square = p.power == 2 ? 1 : r * r;
    f += p.weight * r * r * square;
    for (int i = 0; i < 4; ++i) {
      if (g != nullptr) g[i] += p.power * p.weight * r * square * p.a[i];
      for (int j = 0; j < 4 && h != nullptr; ++j)
        h[4 * i + j] += p.power * (p.power - 1) * p.weight * square * p.a[i] * p.a[j];
    }
  }
  return f;
}

}  // namespace hso::test
