// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/kronecker_preconditioner.hpp"

namespace hso {

template <class T>
SpectralPreconditioner<T> kronecker_preconditioner(KroneckerOperator<T>& k, double delta, double decay) {
  if (!(delta + decay > 0))
    throw UsageError(
        fmt::format("kronecker_preconditioner: delta {} with weight decay {}, expected a positive sum", delta, decay));
  SpectralPreconditioner<T> p;
  p.inverse_root = k.function([delta](double lambda) { return 1 / std::sqrt(lambda + delta); });
  p.smallest = std::numeric_limits<double>::infinity();
  for (double lambda : k.eigenvalues()) {
    const double value = std::max(lambda, decay) + delta;
    p.log_determinant += std::log(value);
    p.smallest = std::min(p.smallest, value);
    p.largest = std::max(p.largest, value);
  }
  return p;
}

template SpectralPreconditioner<float> kronecker_preconditioner(KroneckerOperator<float>&, double, double);
template SpectralPreconditioner<double> kronecker_preconditioner(KroneckerOperator<double>&, double, double);

}  // namespace hso
