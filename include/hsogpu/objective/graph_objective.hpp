// SPDX-License-Identifier: Apache-2.0
//
// A graph (graph.hpp) on fixed data as an Objective: a function written once, with exact gradient, Hessian and
// Gauss-Newton products. A fit of y = b1 exp(-b2 x) by least squares:
//
//   Graph<double> g;
//   Node x = g.input({1}), y = g.target({1});
//   Node b1 = g.parameter("b1", {1, 1}), b2 = g.parameter("b2", {1, 1});
//   Node z = linear(g, exp(g, affine(g, linear(g, x, b2), -1)), b1);
//   g.set_output(z);
//   g.set_loss(squared_error(g, z, y));
//   GraphObjective<double> f(*context, std::move(g), xs, ys);       // sum_k (z_k - y_k)^2 / 2
//
// A function of the parameters alone has one sample, the number 1, which makes numbers with a batch of parameters:
//
//   Node one = g.input({1});
//   Node x = linear(g, one, g.parameter("x", {1, 1})), y = linear(g, one, g.parameter("y", {1, 1}));
//   Node a = subtract(g, y, multiply(g, x, x)), b = affine(g, x, -1, 1);
//   Node f = add(g, affine(g, multiply(g, a, a), 100), multiply(g, b, b));   // Rosenbrock
//   g.set_output(f);
//   g.set_loss(as_loss(g, f));
#pragma once

#include "hsogpu/graph/graph.hpp"
#include "hsogpu/objective/objective.hpp"

namespace hso {

/// f = weight sum_k loss_k over all samples; theta is the graph's parameters.
template <class T>
class GraphObjective final : public Objective<T> {
 public:
  /// Owns the graph and copies the data, host numbers of whole samples; no inputs: one sample of ones. InputError when
  /// they do not fit, UsageError for an incomplete graph or a weight that is not positive.
  GraphObjective(Context& context, Graph<T> graph, Span<const T> inputs = {}, Span<const T> targets = {},
                 double weight = 1);
  ~GraphObjective() override;
  Context& context() const override;
  Index dimension() const override;
  const Graph<T>& graph() const;
  double value(const T* theta) override;
  double gradient(const T* theta, T* g) override;
  /// hessian, ggn (UsageError for as_loss, whose Gauss-Newton matrix is zero) and fisher_empirical are exact.
  std::unique_ptr<LinearOperator<T>> curvature(const T* theta, Curvature kind) override;
  typename Objective<T>::Linearized linearize(const T* theta, T* g, Curvature kind) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hso
