// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "linalg/krylov_solver.hpp"

namespace hso {

const char* name_of(KrylovStatus status) {
  switch (status) {
    case KrylovStatus::converged:
      return "converged";
    case KrylovStatus::max_iterations:
      return "max_iterations";
    case KrylovStatus::negative_curvature:
      return "negative_curvature";
    case KrylovStatus::not_finite:
      return "not_finite";
    case KrylovStatus::stalled:
      return "stalled";
  }
  return "unknown";
}

bool KrylovResult::converged() const {
  return std::all_of(lanes.begin(), lanes.end(),
                     [](const KrylovLane& l) { return l.status == KrylovStatus::converged; });
}

namespace detail {

template <class T>
void require_system(const char* what, const LinearOperator<T>& a, const View<const T>& b, const View<T>& x,
                    const KrylovOptions<T>& options) {
  const Index n = a.dimension();
  if (b.size() != n || x.size() != n || b.lanes != x.lanes)
    throw InputError(fmt::format("{}: right-hand sides {} x {} and solutions {} x {}, expected K x [{}] both", what,
                                 b.lanes, b.shape.to_string(), x.lanes, x.shape.to_string(), n));
  if (!(options.tolerance > 0))
    throw UsageError(fmt::format("{}: tolerance {}, expected a number above 0", what, options.tolerance));
}

template void require_system(const char*, const LinearOperator<float>&, const View<const float>&, const View<float>&,
                             const KrylovOptions<float>&);
template void require_system(const char*, const LinearOperator<double>&, const View<const double>&, const View<double>&,
                             const KrylovOptions<double>&);

}  // namespace detail

template <class T>
void InverseOperator<T>::apply(View<const T> v, View<T> hv) {
  const bool definite = method_ == KrylovMethod::cg;
  const KrylovResult r = definite ? cg(a_, v, hv, options_) : minres(a_, v, hv, options_);
  products_ += r.products * v.lanes;
  for (std::size_t k = 0; k < r.lanes.size(); ++k)
    if (r.lanes[k].status != KrylovStatus::converged)
      throw NumericalError(fmt::format("InverseOperator: {} on lane {}: {} after {} iterations, residual {:.2e}",
                                       definite ? "cg" : "minres", k, name_of(r.lanes[k].status), r.lanes[k].iterations,
                                       r.lanes[k].residual));
}

template class InverseOperator<float>;
template class InverseOperator<double>;

}  // namespace hso
