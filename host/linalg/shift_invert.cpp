// SPDX-License-Identifier: Apache-2.0
//
// Eigenvalues near a shift: Lanczos on (A - shift I)^-1, each of whose products is a solve by minimal residuals.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/solvers.hpp"
#include "hsogpu/spectrum.hpp"
#include "linalg/memory_needs.hpp"

namespace hso {

using namespace detail;

namespace {

/// Solves as well as it can: what a solve lacks shows in the residuals of the pairs, which are measured with A itself.
template <class T>
class ShiftedInverse final : public LinearOperator<T> {
 public:
  ShiftedInverse(LinearOperator<T>& a, double shift, double tolerance)
      : shifted_(a, 1, -shift), options_{.tolerance = tolerance} {}
  Context& context() const override { return shifted_.context(); }
  Index dimension() const override { return shifted_.dimension(); }
  void apply(View<const T> v, View<T> hv) override { products += minres(shifted_, v, hv, options_).products * v.lanes; }
  Index products = 0;

 private:
  AffineOperator<T> shifted_;
  KrylovOptions<T> options_;
};

/// Values x'Ax and residuals |A x - value x| of unit rows x.
template <class T>
void measure(LinearOperator<T>& a, EigenPairs<T>& pairs) {
  auto& ops = a.context().template ops<T>();
  const Index n = a.dimension(), count = static_cast<Index>(pairs.values.size());
  Scratch scratch(a.context());
  T* ax = scratch.take<T>(n);
  for (Index i = 0; i < count; ++i) {
    T* x = pairs.vectors.data() + i * n;
    ops.axpby(n, T(0), x, static_cast<T>(1 / ops.nrm2(n, x)), x);
    a.apply(vector_view<const T>(x, n), vector_view(ax, n));
    const double value = ops.dot(n, x, ax);
    ops.axpby(n, static_cast<T>(-value), x, T(1), ax);
    pairs.values[static_cast<std::size_t>(i)] = value;
    pairs.residuals[static_cast<std::size_t>(i)] = ops.nrm2(n, ax);
    pairs.scale = std::max(pairs.scale, std::abs(value));
  }
  pairs.products += count;
}

template <class T>
void sort_ascending(Context& context, Index n, EigenPairs<T>& pairs) {
  std::vector<std::size_t> order(pairs.values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return pairs.values[a] < pairs.values[b]; });
  EigenPairs<T> sorted;
  sorted.vectors = Buffer<T>(context, pairs.vectors.size());
  for (std::size_t to = 0; to < order.size(); ++to) {
    sorted.values.push_back(pairs.values[order[to]]);
    sorted.residuals.push_back(pairs.residuals[order[to]]);
    context.ops<T>().copy(n, pairs.vectors.data() + static_cast<Index>(order[to]) * n,
                          sorted.vectors.data() + static_cast<Index>(to) * n);
  }
  pairs.values = std::move(sorted.values);
  pairs.residuals = std::move(sorted.residuals);
  pairs.vectors = std::move(sorted.vectors);
}

}  // namespace

/// Around each solve: the block's products and five vectors a lane. At the end: sorted copies of the vectors.
template <class T>
Needs detail::near_needs(Index n, const LanczosOptions& options, Index product) {
  const Index vector = checked_multiply(n, static_cast<Index>(sizeof(T)));
  LanczosOptions o = options;
  o.vectors = true;
  Needs needs = lanczos_needs<T>(n, o);
  needs.scratch.insert(needs.scratch.begin(),
                       {vector, vector, 2 * static_cast<Index>(sizeof(double)), product});  // power_iteration
  needs.scratch.push_back({o.block * vector, 2 * o.block * static_cast<Index>(sizeof(T)), o.block * vector,
                           o.block * vector, o.block * vector, o.block * vector, o.block * vector, product});
  return needs;
}

template <class T>
EigenPairs<T> eigenpairs_near(LinearOperator<T>& a, double shift, const LanczosOptions& options) {
  if (!std::isfinite(shift))
    throw UsageError(fmt::format("eigenpairs_near: shift {}, expected a finite number", shift));
  const double floor = 20 * static_cast<double>(std::numeric_limits<T>::epsilon());
  ShiftedInverse<T> inverse(a, shift, std::max(options.tolerance / 10, floor));
  const PowerResult size = power_iteration(a, 0.05, 30, options.seed);
  LanczosOptions o = options;
  o.which = SpectrumEnd::magnitude;
  o.vectors = true;
  o.tolerance = options.tolerance / 100;  // a residual of the inverse grows by |A| on the way back
  if (o.max_products == 0) o.max_products = std::max<Index>(50, 5 * options.count);
  EigenPairs<T> pairs = lanczos(inverse, o);
  pairs.scale = size.norm;
  pairs.products = size.products + inverse.products;
  if (pairs.values.empty()) return pairs;
  measure(a, pairs);
  sort_ascending(a.context(), a.dimension(), pairs);
  pairs.converged = std::count_if(pairs.residuals.begin(), pairs.residuals.end(),
                                  [&](double r) { return r <= std::max(options.tolerance, floor) * pairs.scale; });
  const bool all = pairs.converged == static_cast<Index>(pairs.values.size());
  if (pairs.all_converged() && !all) pairs.stop = "inexact";
  if (!options.vectors) pairs.vectors = Buffer<T>();
  return pairs;
}

template Needs detail::near_needs<float>(Index, const LanczosOptions&, Index);
template Needs detail::near_needs<double>(Index, const LanczosOptions&, Index);
template EigenPairs<float> eigenpairs_near(LinearOperator<float>&, double, const LanczosOptions&);
template EigenPairs<double> eigenpairs_near(LinearOperator<double>&, double, const LanczosOptions&);

}  // namespace hso
