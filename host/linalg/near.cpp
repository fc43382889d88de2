// SPDX-License-Identifier: Apache-2.0
//
// Eigenvalues near a number: Lanczos without restarts (interior.cpp).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/error.hpp"
#include "linalg/block_lanczos.hpp"
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
  if (!std::isfinite(number)) throw UsageError(fmt::format("eigenpairs_near: {}, expected a finite number", number));
  const Index n = a.dimension();
  const LanczosOptions o = within_n_products(options, n);
  return BlockLanczos<T>(a, o, near_basis<T>(a.context(), n, options), number).run();
}

template Index detail::near_basis<float>(Context&, Index, const LanczosOptions&);
template Index detail::near_basis<double>(Context&, Index, const LanczosOptions&);
template EigenPairs<float> eigenpairs_near(LinearOperator<float>&, double, const LanczosOptions&);
template EigenPairs<double> eigenpairs_near(LinearOperator<double>&, double, const LanczosOptions&);

}  // namespace hso
