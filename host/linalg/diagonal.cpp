// SPDX-License-Identifier: Apache-2.0
//
// Diagonals from random probes.
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "linalg/probes.hpp"

namespace hso {

using namespace detail;

/// Welford's update of every entry's mean and sum of squared deviations, on the host.
template <class T>
DiagonalEstimate diagonal(LinearOperator<T>& a, const DiagonalOptions& options) {
  if (options.probes < 2)
    throw InputError(fmt::format("diagonal: {} probes, expected at least 2 for error bars", options.probes));
  const Index n = a.dimension();
  const auto size = static_cast<std::size_t>(n);
  DiagonalEstimate out{std::vector<double>(size), std::vector<double>(size), options.probes, options.seed};
  std::vector<T> products(size);
  double seen = 0;
  auto& ops = a.context().template ops<T>();
  const auto signs = [&](Index first, Index k, T* z) {
    fill_probes(ops, n, first, k, options.seed, Distribution::rademacher, z);
  };
  probe(a, options.probes, {}, signs, [&](Index, Index k, const T* z, T* az) {
    for (Index p = 0; p < k; ++p) {
      ops.for_each(1, n, Scale<T>{z + p * n, az + p * n, n, az + p * n, n, false});
      a.context().to_host(az + p * n, products.data(), n * static_cast<Index>(sizeof(T)));
      ++seen;
      for (std::size_t i = 0; i < size; ++i) {
        const double from_mean = static_cast<double>(products[i]) - out.values[i];
        out.values[i] += from_mean / seen;
        out.standard_errors[i] += from_mean * (static_cast<double>(products[i]) - out.values[i]);
      }
    }
  });
  for (double& e : out.standard_errors) e = std::sqrt(e / (seen - 1) / seen);
  return out;
}

template DiagonalEstimate diagonal(LinearOperator<float>&, const DiagonalOptions&);
template DiagonalEstimate diagonal(LinearOperator<double>&, const DiagonalOptions&);

}  // namespace hso
