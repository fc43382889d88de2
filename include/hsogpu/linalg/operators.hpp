// SPDX-License-Identifier: Apache-2.0
//
// Operators made from other operators, and a check that an operator is one.
//
//   const auto h = objective.curvature(theta, Curvature::hessian);
//   AffineOperator<T> damped(*h, 1.0, delta);                   H + delta I
//   RestrictedOperator<T> block(*h, {first, last});             the diagonal block of a layer
//   require_consistent(damped);                                 throws when two products of one vector differ
//
// All keep references to the operators they are made of, which must outlive them, and apply K lanes with one call of
// those operators where that is possible.
#pragma once

#include <vector>

#include "hsogpu/linalg/linear_operator.hpp"

namespace hso {

/// A dense matrix A[n][n] in device memory, not owned. A need not be symmetric.
template <class T>
class MatrixOperator final : public LinearOperator<T> {
 public:
  MatrixOperator(Context& context, Index n, const T* a) : share_(context), context_(context), n_(n), a_(a) {}
  bool stored() const override { return true; }
  Context& context() const override { return context_; }
  Index dimension() const override { return n_; }
  void apply(View<const T> v, View<T> hv) override;

 private:
  detail::ContextShare share_;
  Context& context_;
  Index n_;
  const T* a_;
};

/// diag(d)
template <class T>
class DiagonalOperator final : public LinearOperator<T> {
 public:
  DiagonalOperator(Context& context, Span<const T> d) : context_(context), d_(context, d) {}
  DiagonalOperator(Context& context, Buffer<T> d) : context_(context), d_(std::move(d)) {}
  Context& context() const override { return context_; }
  Index dimension() const override { return d_.size(); }
  const Buffer<T>& entries() const { return d_; }  ///< on the device
  const Buffer<T>* diagonal_entries() const override { return &d_; }
  void apply(View<const T> v, View<T> hv) override;

 private:
  Context& context_;
  Buffer<T> d_;
};

/// scale A + shift I
template <class T>
class AffineOperator final : public LinearOperator<T> {
 public:
  AffineOperator(LinearOperator<T>& a, double scale, double shift) : a_(a), scale_(scale), shift_(shift) {}
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  void apply(View<const T> v, View<T> hv) override;

 private:
  LinearOperator<T>& a_;
  double scale_, shift_;
};

template <class T>
struct Term {
  LinearOperator<T>& a;
  double weight = 1;
};

/// sum_i weight_i A_i
template <class T>
class SumOperator final : public LinearOperator<T> {
 public:
  /// InputError when the dimensions differ, UsageError for no terms.
  explicit SumOperator(std::vector<Term<T>> terms);
  Context& context() const override { return terms_.front().a.context(); }
  Index dimension() const override { return terms_.front().a.dimension(); }
  void apply(View<const T> v, View<T> hv) override;

 private:
  std::vector<Term<T>> terms_;
};

/// V' diag(d) V + shift I with r vectors, the rows of V[r][n]: low rank plus shift.
template <class T>
class LowRankOperator final : public LinearOperator<T> {
 public:
  /// Keeps the address of V (device), copies d.
  LowRankOperator(Context& context, Index n, const T* v, Span<const double> d, double shift);
  Context& context() const override { return context_; }
  Index dimension() const override { return n_; }
  void apply(View<const T> v, View<T> hv) override;

 private:
  Context& context_;
  Index n_;
  const T* v_;
  Buffer<T> d_;
  double shift_;
};

/// Entries [begin, end) of theta.
struct IndexRange {
  Index begin = 0, end = 0;
  Index size() const { return end - begin; }
};

/// P A P': the rows and columns of chosen entries of theta.
template <class T>
class RestrictedOperator final : public LinearOperator<T> {
 public:
  /// Indices in the order they take in the smaller operator. InputError for one that is out of range or there twice.
  RestrictedOperator(LinearOperator<T>& a, Span<const Index> indices);
  RestrictedOperator(LinearOperator<T>& a, IndexRange range);
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return indices_.size(); }
  void apply(View<const T> v, View<T> hv) override;

 private:
  LinearOperator<T>& a_;
  Buffer<Index> indices_;
};

/// The diagonal blocks of A, zero outside them. Costs one product with A for every block.
template <class T>
class BlockDiagonalOperator final : public LinearOperator<T> {
 public:
  /// InputError when ranges leave [0, n) or overlap.
  BlockDiagonalOperator(LinearOperator<T>& a, std::vector<IndexRange> blocks);
  Context& context() const override { return a_.context(); }
  Index dimension() const override { return a_.dimension(); }
  void apply(View<const T> v, View<T> hv) override;

 private:
  LinearOperator<T>& a_;
  std::vector<IndexRange> blocks_;
};

struct ConsistencyReport {
  double repeat = 0;        ///< |A v - A v again| / |A v|
  double asymmetry = 0;     ///< |w'A v - v'A w| / (|v| |A w| + |w| |A v|)
  double nonlinearity = 0;  ///< |A(v + w) - A v - A w| / |A(v + w)|
};
/// Multiplies random vectors: twice the same, each with the other, and their sum. Four products.
template <class T>
ConsistencyReport check_consistency(LinearOperator<T>& a, std::uint64_t seed = 0);
/// NumericalError that says which test failed and by how much: data in another order, a mask that changed, a matrix
/// that is not symmetric. `tolerance` 0 takes 100 eps sqrt(n).
template <class T>
void require_consistent(LinearOperator<T>& a, std::uint64_t seed = 0, double tolerance = 0);

}  // namespace hso
