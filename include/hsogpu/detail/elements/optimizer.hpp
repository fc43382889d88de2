// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

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

/// Yao et al. 2021, algorithm 1: Adam with the moving average of d^2 (d: a diagonal of the Hessian) in place of g^2,
/// and the `power`-th power of its root below. Corrections as in AdamStep.
template <class T>
struct AdaHessianStep {
  const T* g;
  const T* d;
  T* m;
  T* v;
  T* step;
  T rate, beta1, beta2, epsilon, power, correction1, correction2;
  HSO_HD void operator()(Index, Index i) const {
    const T di = d[i];
    const T mi = beta1 * m[i] + (1 - beta1) * g[i];
    const T vi = beta2 * v[i] + (1 - beta2) * di * di;
    m[i] = mi;
    v[i] = vi;
    step[i] = -rate * (mi / correction1) / (std::pow(std::sqrt(vi / correction2), power) + epsilon);
  }
};

/// Liu et al. 2023, algorithm 3: step[i] = -rate clip(m / max(gamma h, epsilon), 1).
template <class T>
struct SophiaStep {
  const T* m;
  const T* h;
  T* step;
  T rate, gamma, epsilon;
  HSO_HD void operator()(Index, Index i) const {
    const T scaled = gamma * h[i], below = scaled > epsilon ? scaled : epsilon;
    const T ratio = m[i] / below;
    const T upper = ratio > T(1) ? T(1) : ratio;
    step[i] = -rate * (upper < T(-1) ? T(-1) : upper);
  }
};

/// Vyas et al. 2024, algorithm 3, in the eigenbasis: v is updated in place by g^2, y = m^ / (sqrt(v^) + epsilon). y may
/// be g or m.
template <class T>
struct SecondMomentQuotient {
  const T* g;
  const T* m;
  T* v;
  T* y;
  T beta2, epsilon, correction1, correction2;
  HSO_HD void operator()(Index, Index i) const {
    const T gi = g[i], mi = m[i];
    const T vi = beta2 * v[i] + (1 - beta2) * gi * gi;
    v[i] = vi;
    y[i] = (mi / correction1) / (std::sqrt(vi / correction2) + epsilon);
  }
};

/// y = (x + shift)^exponent
template <class T>
struct ShiftedPower {
  const T* x;
  T* y;
  T shift, exponent;
  HSO_HD void operator()(Index, Index i) const { y[i] = std::pow(x[i] + shift, exponent); }
};

/// y = 1 / (max(x, 0) + delta)
template <class T>
struct DampedReciprocal {
  const T* x;
  T* y;
  T delta;
  HSO_HD void operator()(Index, Index i) const {
    const T value = x[i];
    y[i] = T(1) / ((value > T(0) ? value : T(0)) + delta);
  }
};

}  // namespace hso::detail
