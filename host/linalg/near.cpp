// SPDX-License-Identifier: Apache-2.0
//
// Eigenvalues near a number: Lanczos without restarts (interior.cpp), and with a filter where its basis does not fit.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "io/shown_text.hpp"
#include "linalg/block_lanczos.hpp"
#include "linalg/filtered.hpp"
#include "linalg/memory_needs.hpp"

namespace hso {

using namespace detail;

namespace {

constexpr Index kWidestBasis = 2048;  ///< its projection takes seconds from here on

/// n products span everything.
LanczosOptions within_n_products(const LanczosOptions& options, Index n) {
  LanczosOptions o = options;
  if (o.max_products == 0) o.max_products = n;
  return o;
}

/// Beside the pairs that are wanted: on the two sides of the number the filter need not fall alike.
constexpr Index kBeside = 4;

/// Rayleigh and Ritz with A itself in the span of the filter's vectors: pairs on both sides of the number may have
/// equal values of the polynomial, and come mixed. Residuals are measured.
template <class T>
void separate(LinearOperator<T>& a, EigenPairs<T>& pairs) {
  const Index n = a.dimension(), k = static_cast<Index>(pairs.values.size());
  auto& ops = a.context().template ops<T>();
  const Buffer<T> mixed = std::move(pairs.vectors);
  Buffer<T> products(a.context(), k * n), out(a.context(), k * n);
  a.apply(vector_view<const T>(mixed.data(), n, k), vector_view(products.data(), n, k));
  pairs.products += k;
  Scratch scratch(a.context());
  T* rotation = scratch.take<T>(k * k);
  ops.gemm({k, k, n, mixed.data(), n, false, products.data(), n, true, rotation, k});
  std::vector<T> host(static_cast<std::size_t>(k * k));
  const Index bytes = k * k * static_cast<Index>(sizeof(T));
  a.context().to_host(rotation, host.data(), bytes);
  HostEigen e = host_eigh({host.begin(), host.end()}, k);
  host.assign(e.vectors.begin(), e.vectors.end());
  a.context().to_device(host.data(), rotation, bytes);
  ops.gemm({k, n, k, rotation, k, false, mixed.data(), n, false, out.data(), n});
  for (Index i = 0; i < k; ++i) {
    Scratch row(a.context());
    T* r = row.take<T>(n);
    ops.gemm({1, n, k, rotation + i * k, k, false, products.data(), n, false, r, n});
    ops.axpby(n, static_cast<T>(-e.values[static_cast<std::size_t>(i)]), out.data() + i * n, T(1), r);
    pairs.residuals[static_cast<std::size_t>(i)] = ops.nrm2(n, r);
  }
  pairs.values = std::move(e.values);
  pairs.vectors = std::move(out);
}

/// The `count` pairs nearest the number, of more: neighbours (nearest).
template <class T>
void keep_nearest(Context& context, Index n, Index count, double number, bool vectors, EigenPairs<T>& pairs) {
  const std::vector<Index> order = nearest(pairs.values, count, number);
  const Index first = order.front(), k = static_cast<Index>(order.size());
  const auto keep = [&](std::vector<double>& v) { v = {v.begin() + first, v.begin() + first + k}; };
  keep(pairs.values);
  keep(pairs.residuals);
  Buffer<T> rows(context, vectors ? k * n : 0);
  if (vectors) context.ops<T>().copy(k * n, pairs.vectors.data() + first * n, rows.data());
  pairs.vectors = std::move(rows);
}

/// Lanczos on the filter, whose width holds about as many eigenvalues as are wanted. What the search says of the
/// filter's largest values holds for the nearest ones where the filter is above those values between them.
template <class T>
EigenPairs<T> filtered_pairs(LinearOperator<T>& a, double number, const LanczosOptions& options, const Crowd& crowd) {
  const Index n = a.dimension();
  LanczosOptions o = options;
  o.count = std::min(n, options.count + kBeside);
  o.which = SpectrumEnd::largest;
  o.lower_bound.reset();
  o.vectors = true;
  o.basis = 0;
  const double expected = 2 * crowd.steps * crowd.unresolved / static_cast<double>(o.count);
  EigenPairs<T> out;
  out.scale = crowd.scale;
  out.stop = "too_dense";
  if (!(4 * expected * static_cast<double>(o.count) <= static_cast<double>(options.max_products))) return out;
  const Index degree = std::max<Index>(16, static_cast<Index>(expected));
  o.max_products = options.max_products / degree;
  if (o.max_products < o.count) return out;
  FilteredOperator<T> filter(a, crowd.low, crowd.high, number, degree);
  EigenPairs<T> pairs = BlockLanczos<T>(filter, o, lanczos_basis<T>(a.context(), n, o)).run();
  pairs.products = filter.products();
  pairs.scale = crowd.scale;
  if (pairs.values.empty()) return pairs;
  const double level = pairs.values.front();
  separate(a, pairs);
  keep_nearest(a.context(), n, options.count, number, options.vectors, pairs);
  const double most = std::max(options.tolerance, krylov_tolerance<T>()) * crowd.scale;
  pairs.converged = std::count_if(pairs.residuals.begin(), pairs.residuals.end(), [&](double r) { return r <= most; });
  const bool exact = pairs.converged == static_cast<Index>(pairs.values.size());
  if (pairs.all_converged() && !exact) pairs.stop = "inexact";
  const double radius = std::max(number - pairs.values.front(), pairs.values.back() - number);
  const bool inside = filter.at(number - radius) >= level && filter.at(number + radius) >= level;
  pairs.extremes.confirmed = pairs.extremes.confirmed && inside && exact;
  pairs.extremes.below = pairs.extremes.confirmed ? number - radius : number;
  pairs.extremes.above = pairs.extremes.confirmed ? number + radius : number;
  return pairs;
}

}  // namespace

template <class T>
Index detail::near_basis(Context& context, Index n, const LanczosOptions& options) {
  const Index usual = lanczos_basis<T>(context, n, options);
  if (options.basis > 0) return usual;
  const Index bytes = checked_multiply(n, static_cast<Index>(sizeof(T)));
  const Index most = within_n_products(options, n).max_products, fit = context.memory().free_bytes / 2 / bytes;
  return std::max(usual, std::min({n, kWidestBasis, fit, most + options.block}));
}

template <class T>
EigenPairs<T> eigenpairs_near(LinearOperator<T>& a, double number, const LanczosOptions& options) {
  if (!std::isfinite(number))
    throw UsageError(fmt::format("eigenpairs_near: {}, expected a finite number", unsigned_nan(number)));
  const Index n = a.dimension();
  LanczosOptions o = within_n_products(options, n);
  EigenPairs<T> pairs;
  Crowd crowd;
  {
    BlockLanczos<T> whole(a, o, near_basis<T>(a.context(), n, options), number);
    pairs = whole.run();
    if (pairs.stop != "basis_full" || !whole.one_krylov_space()) return pairs;
    crowd = whole.crowd();
  }
  const Index tried = pairs.products;
  pairs = {};
  o.max_products -= tried;
  pairs = filtered_pairs(a, number, o, crowd);
  pairs.products += tried;
  return pairs;
}

template Index detail::near_basis<float>(Context&, Index, const LanczosOptions&);
template Index detail::near_basis<double>(Context&, Index, const LanczosOptions&);
template EigenPairs<float> eigenpairs_near(LinearOperator<float>&, double, const LanczosOptions&);
template EigenPairs<double> eigenpairs_near(LinearOperator<double>&, double, const LanczosOptions&);

}  // namespace hso
