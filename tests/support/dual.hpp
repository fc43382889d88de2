// SPDX-License-Identifier: Apache-2.0
//
// Dual numbers a + b e with e^2 = 0: f(x + e) = f(x) + f'(x) e. Nested, Dual<Dual<double>> carries
// f(x + u e1 + w e2) = f + (f' u) e1 + (f' w) e2 + (u f'' w) e1 e2, all exact. The tests' own oracle: it shares nothing
// with the library, least of all its derivative rules.
#pragma once

#include <cmath>

namespace hso::test {

template <class T>
struct Dual {
  T v{};  ///< value
  T d{};  ///< coefficient of e

  Dual() = default;
  Dual(double constant) : v(constant) {}  // NOLINT: numbers are duals
  Dual(const T& value, const T& derivative) : v(value), d(derivative) {}

  Dual& operator+=(const Dual& o) { return *this = *this + o; }
  Dual& operator*=(const Dual& o) { return *this = *this * o; }
  friend Dual operator-(const Dual& a) { return {-a.v, -a.d}; }
  friend Dual operator+(const Dual& a, const Dual& b) { return {a.v + b.v, a.d + b.d}; }
  friend Dual operator-(const Dual& a, const Dual& b) { return {a.v - b.v, a.d - b.d}; }
  friend Dual operator*(const Dual& a, const Dual& b) { return {a.v * b.v, a.v * b.d + a.d * b.v}; }
  friend Dual operator/(const Dual& a, const Dual& b) {
    const T q = a.v / b.v;
    return {q, (a.d - q * b.d) / b.v};
  }
};

inline double plain(double x) { return x; }
/// The number without its derivatives: what decides branches.
template <class T>
double plain(const Dual<T>& x) {
  return plain(x.v);
}

using std::atan;
using std::cos;
using std::erf;
using std::exp;
using std::log;
using std::sin;
using std::sqrt;
using std::tanh;

template <class T>
Dual<T> exp(const Dual<T>& x) {
  const T e = exp(x.v);
  return {e, x.d * e};
}
template <class T>
Dual<T> log(const Dual<T>& x) {
  return {log(x.v), x.d / x.v};
}
template <class T>
Dual<T> sqrt(const Dual<T>& x) {
  const T root = sqrt(x.v);
  return {root, x.d / (T(2.0) * root)};
}
template <class T>
Dual<T> cos(const Dual<T>& x);
template <class T>
Dual<T> sin(const Dual<T>& x) {
  return {sin(x.v), x.d * cos(x.v)};
}
template <class T>
Dual<T> cos(const Dual<T>& x) {
  return {cos(x.v), -(x.d * sin(x.v))};
}
template <class T>
Dual<T> atan(const Dual<T>& x) {
  return {atan(x.v), x.d / (T(1.0) + x.v * x.v)};
}
/// x^p for x > 0.
template <class T, class P>
T power(const T& x, const P& p) {
  return exp(T(p) * log(x));
}
template <class T>
Dual<T> tanh(const Dual<T>& x) {
  const T t = tanh(x.v);
  return {t, x.d * (T(1.0) - t * t)};
}
template <class T>
Dual<T> erf(const Dual<T>& x) {
  return {erf(x.v), x.d * (T(1.12837916709551257390) * exp(-(x.v * x.v)))};  // 2/sqrt(pi)
}

}  // namespace hso::test
