// SPDX-License-Identifier: Apache-2.0
//
// The coefficients of limited-memory BFGS in its compact form (host/optim/quasi_newton/lbfgs_inverse.hpp). Launch with
// 1 x 1.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// With a = S'v and b = Y'v of `count` pairs, p = R^-1 a and q = R^-T (D p + gamma (Y'Y p - b)):
/// H v = gamma v + S q - gamma Y p. Pairs are rows place and memory + place of those whose products with v are given;
/// y there lacks shift s.
template <class T>
struct LbfgsCoefficients {
  Index count, memory;
  double gamma;
  const double* places;    ///< [count], whole numbers
  const double* shifts;    ///< [count]
  const double* sy;        ///< [count][count], S'Y; R is its upper triangle and D its diagonal
  const double* yy;        ///< [count][count]
  const double* products;  ///< [2 memory], of the rows with v
  double* p;               ///< [count]
  double* q;               ///< [count]
  T* factors;              ///< [2 memory], of the rows in H v - gamma v
  HSO_HD void operator()(Index, Index) const {
    for (Index i = count - 1; i >= 0; --i) {
      double sum = products[place(i)];
      for (Index j = i + 1; j < count; ++j) sum -= sy[i * count + j] * p[j];
      p[i] = sum / sy[i * count + i];
    }
    for (Index i = 0; i < count; ++i) {
      double sum = -products[memory + place(i)] - shifts[i] * products[place(i)];
      for (Index j = 0; j < count; ++j) sum += yy[i * count + j] * p[j];
      sum = sy[i * count + i] * p[i] + gamma * sum;
      for (Index j = 0; j < i; ++j) sum -= sy[j * count + i] * q[j];
      q[i] = sum / sy[i * count + i];
    }
    for (Index i = 0; i < 2 * memory; ++i) factors[i] = T(0);
    for (Index i = 0; i < count; ++i) {
      factors[place(i)] = static_cast<T>(q[i] - gamma * shifts[i] * p[i]);
      factors[memory + place(i)] = static_cast<T>(-gamma * p[i]);
    }
  }

 private:
  HSO_HD Index place(Index i) const { return static_cast<Index>(places[i]); }
};

template <class T>
using LbfgsOps = Types<LbfgsCoefficients<T>>;

}  // namespace hso::detail
