// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/spectrum.hpp"
#include "linalg/estimate_rounding.hpp"

namespace hso {

using namespace detail;

template <class T>
void PreconditionedOperator<T>::apply(View<const T> v, View<T> hv) {
  const Index n = dimension();
  Scratch scratch(context());
  const View<T> x = vector_view(scratch.take<T>(v.lanes * n), n, v.lanes);
  const View<T> ax = vector_view(scratch.take<T>(v.lanes * n), n, v.lanes);
  p_.inverse_root->apply(v, x);
  a_.apply(View<const T>(x), ax);
  context().template ops<T>().for_each(
      v.lanes, n, Axpby<T>{static_cast<T>(delta_), x.data, x.lane_stride, T(1), ax.data, ax.lane_stride});
  p_.inverse_root->apply(View<const T>(ax), hv);
}

template <class T>
Estimate log_determinant(const SpectralDensity& preconditioned, const SpectralPreconditioner<T>& p) {
  SpectralDensity d = preconditioned;
  d.epsilon *= std::sqrt(p.largest / p.smallest);
  Estimate e = d.log_determinant(0);
  e.value += p.log_determinant;
  e.low += p.log_determinant;
  e.high += p.log_determinant;
  // Every eigenvalue of P^-1/2 is rounded once.
  return with_rounding(e, 2 * static_cast<double>(std::numeric_limits<T>::epsilon()) * static_cast<double>(d.n));
}

template class PreconditionedOperator<float>;
template class PreconditionedOperator<double>;
template Estimate log_determinant(const SpectralDensity&, const SpectralPreconditioner<float>&);
template Estimate log_determinant(const SpectralDensity&, const SpectralPreconditioner<double>&);

}  // namespace hso
