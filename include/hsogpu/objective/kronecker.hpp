// SPDX-License-Identifier: Apache-2.0
//
// Kronecker-factored curvature of networks of products with the data (K-FAC) and its eigenvalue-corrected form.
//
//   const auto k = objective.kronecker(theta, {.source = Curvature::ggn});
//   k->apply(v, kv);                                  K v
//   const auto inverse = k->inverse(delta);           (K + delta I)^-1: the preconditioner of cg
//
// A layer is y_t = [W b] xbar_t at every position t of a sample, xbar_t = [x_t; 1]. With s_t the adjoint of y_t, row n
// of the batch weighing w_n (1/N), T positions a sample,
//
//   A = sum_n w_n sum_t xbar_nt xbar_nt'     B = 1/T sum_n w_n sum_t sum_k s_ntk s_ntk'     block of [W b] ~ B (x) A
//
// where the sum over k makes the loss' second derivative in the output (`ggn`: exact, as many k as outputs), or s is
// the gradient's adjoint at targets drawn from the model (`fisher_mc`) or at the data's (`fisher_empirical`). One
// sample and one position make the block exact. Groups of a convolution are blocks of their own; weight decay adds
// decay I. Martens and Grosse, ICML 2015; convolutions: Grosse and Martens, ICML 2016 (spatially homogeneous,
// uncorrelated). Corrected (EKFAC): the factors' eigenvectors stay, and each eigenvalue becomes the second moment sum_n
// w_n sum_k (Qb G_nk Qa')_ij^2 along its direction, G_nk = sum_t s_ntk xbar_nt' (George et al., NeurIPS 2018).
#pragma once

#include <functional>

#include "hsogpu/objective/objective.hpp"

namespace hso {

struct KroneckerOptions {
  Curvature source = Curvature::ggn;  ///< or fisher_mc, fisher_empirical
  bool corrected = false;             ///< EKFAC
};

/// One layer's block, or one group's of a convolution: [W b] is [outputs][inputs].
struct KroneckerBlock {
  std::string weight;  ///< the parameter's name in the graph
  Index group = 0;
  Index outputs = 0, inputs = 0;  ///< inputs counts the bias
};

namespace detail {
template <class T>
struct KroneckerState;
}

template <class T>
class KroneckerOperator final : public LinearOperator<T> {
 public:
  /// Objectives make them: NetworkObjective::kronecker.
  explicit KroneckerOperator(std::unique_ptr<detail::KroneckerState<T>> state);
  ~KroneckerOperator() override;
  Context& context() const override;
  Index dimension() const override;
  KroneckerOperator* kronecker() override { return this; }
  void apply(View<const T> v, View<T> hv) override;

  std::vector<KroneckerBlock> blocks() const;
  /// Factors of block i, row-major on the host: A [inputs][inputs] and B [outputs][outputs].
  std::vector<T> input_factor(Index block) const;
  std::vector<T> output_factor(Index block) const;

  /// All n eigenvalues, block by block, not sorted. NumericalError when a factor's eigendecomposition fails; the first
  /// call of these three makes it, unless the operator is corrected and has it.
  std::vector<double> eigenvalues();
  /// f(K), the eigenvalues replaced by f of them. Keeps a reference to this operator.
  std::unique_ptr<LinearOperator<T>> function(const std::function<double(double)>& f);
  /// (K + delta I)^-1. UsageError unless delta + weight decay is positive: K is positive semidefinite at best. Negative
  /// eigenvalues that rounding makes count as 0.
  std::unique_ptr<LinearOperator<T>> inverse(double delta);

 private:
  std::unique_ptr<detail::KroneckerState<T>> state_;
};

}  // namespace hso
