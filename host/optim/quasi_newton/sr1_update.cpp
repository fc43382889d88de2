// SPDX-License-Identifier: Apache-2.0
#include "optim/quasi_newton/sr1_update.hpp"

#include <cmath>

namespace hso::detail {

template <class T>
bool sr1_update(Ops<T>& ops, Index n, T* m, const T* s, const T* y, T* r, double skip) {
  ops.copy(n, y, r);
  ops.gemm({n, 1, n, m, n, false, s, 1, false, r, 1, T(-1), T(1)});
  const double rs = ops.dot(n, r, s), rr = ops.dot(n, r, r), ss = ops.dot(n, s, s);
  if (rr == 0) return true;
  if (!(std::fabs(rs) >= skip * std::sqrt(rr) * std::sqrt(ss)) || rs == 0) return false;
  const T weight = static_cast<T>(1 / rs);
  if (!std::isfinite(weight * static_cast<T>(rr))) return false;
  ops.gemm({n, n, 1, r, 1, false, r, n, false, m, n, weight, T(1)});
  return true;
}

template bool sr1_update(Ops<float>&, Index, float*, const float*, const float*, float*, double);
template bool sr1_update(Ops<double>&, Index, double*, const double*, const double*, double*, double);

}  // namespace hso::detail
