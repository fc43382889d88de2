// SPDX-License-Identifier: Apache-2.0
//
// Element functors of the optimizers' steps.
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
  HSO_HD void rows(Index, const auto& use) const { use(g, out(m, true), out(v, true), out(step, false)); }
  HSO_HD void element(const T& gi, T& mean, T& square, T& move) const {
    const T mi = beta1 * mean + (1 - beta1) * gi;
    const T vi = beta2 * square + (1 - beta2) * gi * gi;
    mean = mi;
    square = vi;
    move = -rate * (mi / correction1) / (std::sqrt(vi / correction2) + epsilon);
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
  HSO_HD void rows(Index, const auto& use) const { use(g, d, out(m, true), out(v, true), out(step, false)); }
  HSO_HD void element(const T& gi, const T& di, T& mean, T& square, T& move) const {
    const T mi = beta1 * mean + (1 - beta1) * gi;
    const T vi = beta2 * square + (1 - beta2) * di * di;
    mean = mi;
    square = vi;
    move = -rate * (mi / correction1) / (std::pow(std::sqrt(vi / correction2), power) + epsilon);
  }
};

/// Liu et al. 2023, algorithm 3: step[i] = -rate clip(m / max(gamma h, epsilon), 1).
template <class T>
struct SophiaStep {
  const T* m;
  const T* h;
  T* step;
  T rate, gamma, epsilon;
  HSO_HD void rows(Index, const auto& use) const { use(m, h, out(step, false)); }
  HSO_HD void element(const T& mean, const T& curvature, T& move) const {
    const T scaled = gamma * curvature, below = scaled > epsilon ? scaled : epsilon;
    const T ratio = mean / below;
    const T upper = ratio > T(1) ? T(1) : ratio;
    move = -rate * (upper < T(-1) ? T(-1) : upper);
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
  HSO_HD void rows(Index, const auto& use) const { use(g, m, out(v, true), out(y, false)); }
  HSO_HD void element(const T& gi, const T& mi, T& square, T& quotient) const {
    const T vi = beta2 * square + (1 - beta2) * gi * gi;
    const T result = (mi / correction1) / (std::sqrt(vi / correction2) + epsilon);
    square = vi;
    quotient = result;
  }
};

/// y = (x + shift)^exponent
template <class T>
struct ShiftedPower {
  const T* x;
  T* y;
  T shift, exponent;
  HSO_HD void rows(Index, const auto& use) const { use(x, out(y, false)); }
  HSO_HD void element(const T& from, T& to) const { to = std::pow(from + shift, exponent); }
};

/// y = 1 / (max(x, 0) + delta)
template <class T>
struct DampedReciprocal {
  const T* x;
  T* y;
  T delta;
  HSO_HD void rows(Index, const auto& use) const { use(x, out(y, false)); }
  HSO_HD void element(const T& value, T& to) const { to = T(1) / ((value > T(0) ? value : T(0)) + delta); }
};

template <class T>
using OptimizerOps =
    Types<AdamStep<T>, AdaHessianStep<T>, SophiaStep<T>, SecondMomentQuotient<T>, ShiftedPower<T>, DampedReciprocal<T>>;

}  // namespace hso::detail
