// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/linalg/operators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "linalg/fitting.hpp"

namespace hso {

using namespace detail;

namespace {

/// hv[lanes][rows] = v[lanes][cols] M', M[rows][cols], or v M with M[cols][rows].
template <class T>
void times_matrix(Ops<T>& ops, const View<const T>& v, const T* m, bool transpose, Index rows, Index cols,
                  const View<T>& hv, double beta = 0) {
  const bool broadcast = v.lanes > 1 && v.lane_stride < cols;
  for (Index k = 0; k < (broadcast ? v.lanes : 1); ++k)
    ops.gemm({.m = broadcast ? 1 : v.lanes,
              .n = rows,
              .k = cols,
              .a = v.lane(k),
              .lda = std::max(v.lane_stride, cols),
              .trans_a = false,
              .b = m,
              .ldb = transpose ? cols : rows,
              .trans_b = transpose,
              .c = hv.lane(k),
              .ldc = std::max(hv.lane_stride, rows),
              .beta = static_cast<T>(beta)});
}

}  // namespace

template <class T>
void MatrixOperator<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "MatrixOperator");
  times_matrix(context_.ops<T>(), v, a_, true, n_, n_, hv);
}

template <class T>
void DiagonalOperator<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "DiagonalOperator");
  context_.ops<T>().for_each(v.lanes, dimension(),
                             Scale<T>{d_.data(), v.data, v.lane_stride, hv.data, hv.lane_stride, false});
}

template <class T>
void AffineOperator<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "AffineOperator");
  a_.apply(v, hv);
  context().template ops<T>().for_each(
      v.lanes, dimension(),
      Axpby<T>{static_cast<T>(shift_), v.data, v.lane_stride, static_cast<T>(scale_), hv.data, hv.lane_stride});
}

template <class T>
SumOperator<T>::SumOperator(std::vector<Term<T>> terms) : terms_(std::move(terms)) {
  if (terms_.empty()) throw UsageError("SumOperator: no terms");
  for (const Term<T>& term : terms_)
    if (term.a.dimension() != dimension())
      throw InputError(fmt::format("SumOperator: dimensions {} and {} differ", dimension(), term.a.dimension()));
}

template <class T>
void SumOperator<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "SumOperator");
  auto& ops = context().template ops<T>();
  const Index n = dimension();
  Scratch scratch(context());
  T* part = terms_.size() > 1 ? scratch.take<T>(v.lanes * n) : nullptr;
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    const T weight = static_cast<T>(terms_[i].weight);
    if (i == 0) {
      terms_[0].a.apply(v, hv);
      ops.for_each(v.lanes, n, Axpby<T>{T(0), hv.data, hv.lane_stride, weight, hv.data, hv.lane_stride});
      continue;
    }
    terms_[i].a.apply(v, vector_view(part, n, v.lanes));
    ops.for_each(v.lanes, n, Axpby<T>{weight, part, n, T(1), hv.data, hv.lane_stride});
  }
}

template <class T>
LowRankOperator<T>::LowRankOperator(Context& context, Index n, const T* v, Span<const double> d, double shift)
    : context_(context), n_(n), v_(v), d_(context, static_cast<Index>(d.size())), shift_(shift) {
  d_.upload(std::vector<T>(d.begin(), d.end()));
}

template <class T>
void LowRankOperator<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "LowRankOperator");
  auto& ops = context_.ops<T>();
  const Index r = d_.size();
  Scratch scratch(context_);
  T* c = scratch.take<T>(v.lanes * r);
  ops.for_each(v.lanes, n_, Axpby<T>{static_cast<T>(shift_), v.data, v.lane_stride, T(0), hv.data, hv.lane_stride});
  if (r == 0) return;
  times_matrix(ops, v, v_, true, r, n_, vector_view(c, r, v.lanes));
  ops.for_each(v.lanes, r, Scale<T>{d_.data(), c, r, c, r, false});
  times_matrix<T>(ops, vector_view<const T>(c, r, v.lanes), v_, false, n_, r, hv, 1);
}

namespace {

std::vector<Index> checked_indices(Span<const Index> indices, Index n) {
  std::vector<Index> sorted(indices.begin(), indices.end());
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] < 0 || sorted[i] >= n)
      throw InputError(fmt::format("RestrictedOperator: index {}, expected 0 to {}", sorted[i], n - 1));
    if (i > 0 && sorted[i] == sorted[i - 1])
      throw InputError(fmt::format("RestrictedOperator: index {} is there twice", sorted[i]));
  }
  return {indices.begin(), indices.end()};
}

std::vector<Index> all_of(IndexRange range) {
  std::vector<Index> indices;
  for (Index i = range.begin; i < range.end; ++i) indices.push_back(i);
  return indices;
}

}  // namespace

template <class T>
RestrictedOperator<T>::RestrictedOperator(LinearOperator<T>& a, Span<const Index> indices)
    : a_(a), indices_(a.context(), Span<const Index>(checked_indices(indices, a.dimension()))) {}

template <class T>
RestrictedOperator<T>::RestrictedOperator(LinearOperator<T>& a, IndexRange range)
    : RestrictedOperator(a, Span<const Index>(all_of(range))) {}

template <class T>
void RestrictedOperator<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "RestrictedOperator");
  auto& ops = context().template ops<T>();
  const Index n = a_.dimension(), m = dimension();
  Scratch scratch(context());
  T* wide = scratch.take<T>(v.lanes * n);
  T* product = scratch.take<T>(v.lanes * n);
  ops.fill(v.lanes * n, T(0), wide);
  ops.for_each(v.lanes, m, ScatterEntries<T>{v.data, v.lane_stride, indices_.data(), wide, n});
  a_.apply(vector_view<const T>(wide, n, v.lanes), vector_view(product, n, v.lanes));
  ops.for_each(v.lanes, m, GatherEntries<T>{product, n, indices_.data(), hv.data, hv.lane_stride});
}

template <class T>
BlockDiagonalOperator<T>::BlockDiagonalOperator(LinearOperator<T>& a, std::vector<IndexRange> blocks)
    : a_(a), blocks_(std::move(blocks)) {
  std::sort(blocks_.begin(), blocks_.end(), [](auto& x, auto& y) { return x.begin < y.begin; });
  Index end = 0;
  for (const IndexRange& block : blocks_) {
    if (block.begin < end || block.end < block.begin || block.end > a_.dimension())
      throw InputError(fmt::format("BlockDiagonalOperator: block [{}, {}), expected disjoint ranges within [0, {})",
                                   block.begin, block.end, a_.dimension()));
    end = block.end;
  }
}

template <class T>
void BlockDiagonalOperator<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "BlockDiagonalOperator");
  auto& ops = context().template ops<T>();
  const Index n = dimension();
  Scratch scratch(context());
  T* part = scratch.take<T>(v.lanes * n);
  T* product = scratch.take<T>(v.lanes * n);
  ops.for_each(hv.lanes, n, Fill<T>{hv.data, hv.lane_stride, T(0)});
  for (const IndexRange& b : blocks_) {
    ops.fill(v.lanes * n, T(0), part);
    ops.for_each(v.lanes, b.size(), Axpby<T>{T(1), v.data + b.begin, v.lane_stride, T(0), part + b.begin, n});
    a_.apply(vector_view<const T>(part, n, v.lanes), vector_view(product, n, v.lanes));
    ops.for_each(v.lanes, b.size(), Axpby<T>{T(1), product + b.begin, n, T(0), hv.data + b.begin, hv.lane_stride});
  }
}

template <class T>
ConsistencyReport check_consistency(LinearOperator<T>& a, std::uint64_t seed) {
  Context& context = a.context();
  auto& ops = context.template ops<T>();
  const Index n = a.dimension();
  ConsistencyReport report;
  if (n == 0) return report;
  Scratch scratch(context);
  T* v = scratch.take<T>(3 * n);  // v, w, v + w
  T* av = scratch.take<T>(3 * n);
  T* again = scratch.take<T>(n);
  T *w = v + n, *aw = av + n, *sum = v + 2 * n, *asum = av + 2 * n;
  ops.for_each(1, 2 * n, RandomFill<T>{v, seed, 0, Distribution::normal, 0, 1});
  ops.copy(n, v, sum);
  ops.axpby(n, T(1), w, T(1), sum);
  for (Index k = 0; k < 3; ++k)  // lane by lane: a mistake between lanes is another test's business
    a.apply(vector_view<const T>(v + k * n, n), vector_view(av + k * n, n));
  a.apply(vector_view<const T>(v, n), vector_view(again, n));
  const double size = ops.nrm2(n, av), sum_size = ops.nrm2(n, asum);
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : part; };
  report.asymmetry =
      share(std::abs(ops.dot(n, w, av) - ops.dot(n, v, aw)), ops.nrm2(n, w) * size + ops.nrm2(n, v) * ops.nrm2(n, aw));
  ops.axpby(n, T(-1), av, T(1), again);
  report.repeat = share(ops.nrm2(n, again), size);
  ops.axpby(n, T(-1), av, T(1), asum);
  ops.axpby(n, T(-1), aw, T(1), asum);
  report.nonlinearity = share(ops.nrm2(n, asum), sum_size);
  return report;
}

template <class T>
void require_consistent(LinearOperator<T>& a, std::uint64_t seed, double tolerance) {
  const ConsistencyReport r = check_consistency(a, seed);
  const double limit = tolerance > 0 ? tolerance
                                     : 100 * static_cast<double>(std::numeric_limits<T>::epsilon()) *
                                           std::sqrt(static_cast<double>(std::max<Index>(a.dimension(), 1)));
  const auto require = [&](double found, const char* what) {
    if (!(found <= limit))
      throw NumericalError(
          fmt::format("operator of dimension {}: {}; relative difference {:.2e}, expected {:.0e} at most",
                      a.dimension(), what, found, limit));
  };
  require(r.repeat, "two products of one vector differ (data in another order, or a mask that changed?)");
  require(r.nonlinearity, "the product of a sum is not the sum of the products");
  require(r.asymmetry, "the matrix is not symmetric");
}

template class MatrixOperator<float>;
template class DiagonalOperator<float>;
template class AffineOperator<float>;
template class SumOperator<float>;
template class LowRankOperator<float>;
template class RestrictedOperator<float>;
template class BlockDiagonalOperator<float>;
template ConsistencyReport check_consistency(LinearOperator<float>&, std::uint64_t);
template void require_consistent(LinearOperator<float>&, std::uint64_t, double);
template class MatrixOperator<double>;
template class DiagonalOperator<double>;
template class AffineOperator<double>;
template class SumOperator<double>;
template class LowRankOperator<double>;
template class RestrictedOperator<double>;
template class BlockDiagonalOperator<double>;
template ConsistencyReport check_consistency(LinearOperator<double>&, std::uint64_t);
template void require_consistent(LinearOperator<double>&, std::uint64_t, double);

}  // namespace hso
