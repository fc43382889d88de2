// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// Adam, Kingma and Ba 2015, algorithm 1: m, v are updated in place, step[i] = -rate * m^ / (sqrt(v^) + epsilon).
/// correction1 = 1 - beta1^t, correction2 = 1 - beta2^t.
template <class T>
struct AdamStep {
  const T* g;
  T* m;
  T* v;
  T* step;
  T rate, beta1, beta2, epsilon, correction1, correction2;
  HSO_HD void operator()(Index, Index i) const {
    const T gi = g[i];
    const T mi = beta1 * m[i] + (1 - beta1) * gi;
    const T vi = beta2 * v[i] + (1 - beta2) * gi * gi;
    m[i] = mi;
    v[i] = vi;
    step[i] = -rate * (mi / correction1) / (std::sqrt(vi / correction2) + epsilon);
  }
};

}  // namespace hso::detail
