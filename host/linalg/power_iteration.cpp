// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/spectrum.hpp"

namespace hso {

using namespace detail;

template <class T>
PowerResult power_iteration(LinearOperator<T>& a, double tolerance, Index max_products, std::uint64_t seed) {
  const Index n = a.dimension();
  if (n < 1) throw InputError(fmt::format("power_iteration: an operator of dimension {}, expected at least 1", n));
  auto& ops = a.context().template ops<T>();
  Scratch scratch(a.context());
  T* v = scratch.take<T>(n);
  T* w = scratch.take<T>(n);
  ops.for_each(1, n, RandomFill<T>{v, seed, 0, Distribution::normal, 0, 1});
  ops.axpby(n, T(0), v, static_cast<T>(1 / ops.nrm2(n, v)), v);
  double* numbers = scratch.take<double>(2);
  PowerResult r;
  while (!r.converged && r.products < max_products) {
    a.apply(vector_view<const T>(v, n), vector_view(w, n));
    ++r.products;
    double found[2];  // |A v|^2, v'A v
    ops.dots_on_device(1, n, w, n, w, n, numbers);
    ops.dots_on_device(1, n, v, n, w, n, numbers + 1);
    a.context().to_host(numbers, found, sizeof(found));
    const double before = r.norm;
    r.norm = std::sqrt(found[0]);
    r.value = found[1];
    if (!(r.norm > 0) || !std::isfinite(r.norm)) break;
    r.converged = r.products > 1 && r.norm - before <= tolerance * r.norm;
    if (r.converged || r.products == max_products) {
      ops.axpby(n, static_cast<T>(-r.value), v, T(1), w);
      r.residual = ops.nrm2(n, w);
    } else {
      ops.axpby(n, static_cast<T>(1 / r.norm), w, T(0), v);
    }
  }
  return r;
}

template PowerResult power_iteration(LinearOperator<float>&, double, Index, std::uint64_t);
template PowerResult power_iteration(LinearOperator<double>&, double, Index, std::uint64_t);

}  // namespace hso
