// SPDX-License-Identifier: Apache-2.0
//
// Pointwise activations: name, value, first and second derivative of each, their list, and the functors that serve
// every rule. kKink: a first derivative that jumps; kHasSecond: a second one that is not 0; kDefault: of the one
// parameter. d1 and d2 get x and y = value(x) and use what keeps their relative accuracy: where a function saturates, y
// has lost its distance to the limit (1 - tanh(20)^2 is 0, the derivative 1.7e-17), so tails come from e^-|x|.
#pragma once

#include "hsogpu/detail/elements/common.hpp"
#include "hsogpu/detail/erfc.hpp"
#include "hsogpu/detail/type_list.hpp"

namespace hso::detail {

struct Relu {
  static constexpr const char* kName = "relu";
  static constexpr bool kKink = true;
  static constexpr bool kHasSecond = false;
  template <class T>
  HSO_HD T value(T x) const {
    return x > 0 ? x : T(0);
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    return x > 0 ? T(1) : T(0);
  }
  template <class T>
  HSO_HD T d2(T, T) const {
    return 0;
  }
};

struct LeakyRelu {
  static constexpr const char* kName = "leaky_relu";
  static constexpr bool kKink = true;
  static constexpr bool kHasSecond = false;
  static constexpr double kDefault = 0.01;
  FunctionConstant slope = kDefault;
  template <class T>
  HSO_HD T value(T x) const {
    return x > 0 ? x : T(slope) * x;
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    return x > 0 ? T(1) : T(slope);
  }
  template <class T>
  HSO_HD T d2(T, T) const {
    return 0;
  }
};

struct Elu {  // Clevert et al. 2016, eq. 16
  static constexpr const char* kName = "elu";
  static constexpr bool kKink = true;
  static constexpr bool kHasSecond = true;
  static constexpr double kDefault = 1.0;
  FunctionConstant alpha = kDefault;
  template <class T>
  HSO_HD T value(T x) const {
    const T negative = T(alpha) * expm1_of(x < 0 ? x : T(0));
    return x > 0 ? x : negative;
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    const T negative = T(alpha) * falling_exp(x).e;
    return x > 0 ? T(1) : negative;
  }
  template <class T>
  HSO_HD T d2(T x, T) const {
    const T negative = T(alpha) * falling_exp(x).e;
    return x > 0 ? T(0) : negative;
  }
};

struct Tanh {  // 1 - y^2 = e^-2|x| (1 + |y|)^2
  static constexpr const char* kName = "tanh";
  static constexpr bool kKink = false;
  static constexpr bool kHasSecond = true;
  template <class T>
  HSO_HD T value(T x) const {
    return tanh_of(x);
  }
  template <class T>
  HSO_HD T d1(T x, T y) const {
    const T m = 1 + (y < 0 ? -y : y);
    return falling_exp(2 * x).e * m * m;
  }
  template <class T>
  HSO_HD T d2(T x, T y) const {
    return -2 * y * d1(x, y);
  }
};

struct Sigmoid {  // y (1 - y) = e^-|x| m^2 and |1 - 2 y| = (1 - e^-|x|) m with m = 1 / (1 + e^-|x|)
  static constexpr const char* kName = "sigmoid";
  static constexpr bool kKink = false;
  static constexpr bool kHasSecond = true;
  template <class T>
  HSO_HD T value(T x) const {
    return logistic(x);
  }
  template <class T>
  HSO_HD T d1(T x, T y) const {
    const T m = x < 0 ? 1 - y : y;
    return falling_exp(x).e * m * m;
  }
  template <class T>
  HSO_HD T d2(T x, T y) const {
    const T m = x < 0 ? 1 - y : y;
    const FallingExp<T> f = falling_exp(x);
    const T size = f.e * m * m * (f.missing * m);
    return x < 0 ? size : -size;
  }
};

struct Softplus {  // log(1 + e^x)
  static constexpr const char* kName = "softplus";
  static constexpr bool kKink = false;
  static constexpr bool kHasSecond = true;
  template <class T>
  HSO_HD T value(T x) const {
    return softplus_of(x);
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    return logistic(x);
  }
  template <class T>
  HSO_HD T d2(T x, T) const {
    const T e = falling_exp(x).e;
    return e / ((1 + e) * (1 + e));
  }
};

struct Gelu {  // x Phi(x), exact (erf) form; Hendrycks and Gimpel 2016
  static constexpr const char* kName = "gelu";
  static constexpr bool kKink = false;
  static constexpr bool kHasSecond = true;
  template <class T>
  HSO_HD static T cdf(T x) {
    return T(0.5) * erfc_of(-x * T(0.70710678118654752440));
  }
  template <class T>
  HSO_HD static T density(T x) {
    return T(0.39894228040143267794) * exp_minus_half_square(clamp(x, T(-40), T(40)));
  }
  template <class T>
  HSO_HD T value(T x) const {
    return x * cdf(x);
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    return cdf(x) + x * density(x);
  }
  template <class T>
  HSO_HD T d2(T x, T) const {
    return density(x) * (2 - x * x);
  }
};

struct Silu {  // x logistic(x)
  static constexpr const char* kName = "silu";
  static constexpr bool kKink = false;
  static constexpr bool kHasSecond = true;
  template <class T>
  HSO_HD T value(T x) const {
    return x * logistic(x);
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    const T e = falling_exp(x).e, m = 1 / (1 + e);
    const T s = x < 0 ? e * m : m, rest = x < 0 ? m : e * m;  // logistic(x) and 1 - logistic(x)
    return s * (1 + x * rest);
  }
  template <class T>
  HSO_HD T d2(T x, T) const {
    const FallingExp<T> f = falling_exp(x);
    const T m = 1 / (1 + f.e), size = x < 0 ? -x : x;
    return f.e * m * m * (2 - size * (f.missing * m));
  }
};

/// The activations, in the order of enum Activation (graph/graph.hpp).
template <template <class> class Use>
using ForActivations =
    Types<Use<Relu>, Use<LeakyRelu>, Use<Elu>, Use<Tanh>, Use<Sigmoid>, Use<Softplus>, Use<Gelu>, Use<Silu>>;

/// y[i] = f(x[i])
template <class T, class F>
struct ActivationValue {
  static constexpr bool kPacks = packs_pay<F>();
  F f;
  const T* x;
  T* y;
  HSO_HD void rows(Index, const auto& use) const { use(x, out(y, false)); }
  HSO_HD void element(const T& xi, T& yi) const { yi = f.value(xi); }
};

/// to[o][i] (+)= f'(x[i]) in[o][i]: the Jacobian is diagonal, so this is jvp and vjp.
template <class T, class F>
struct ActivationFirst {
  static constexpr bool kPacks = packs_pay<F>();
  F f;
  const T* x;
  const T* y;
  const T* in;
  Index in_stride;
  T* to;
  Index to_stride;
  bool accumulate;
  HSO_HD void rows(Index o, const auto& use) const {
    use(x, y, in + o * in_stride, out(to + o * to_stride, accumulate));
  }
  HSO_HD void element(const T& xi, const T& yi, const T& from, T& result) const {
    store(&result, f.d1(xi, yi) * from, accumulate);
  }
};

/// Rdx[o][i] (+)= f''(x[i]) dy[i] Rx[o][i]
template <class T, class F>
struct ActivationSecond {
  static constexpr bool kPacks = packs_pay<F>();
  F f;
  const T* x;
  const T* y;
  const T* dy;
  const T* rx;
  Index rx_stride;
  T* rdx;
  Index rdx_stride;
  bool accumulate;
  HSO_HD void rows(Index o, const auto& use) const {
    use(x, y, dy, rx + o * rx_stride, out(rdx + o * rdx_stride, accumulate));
  }
  HSO_HD void element(const T& xi, const T& yi, const T& dyi, const T& from, T& result) const {
    store(&result, f.d2(xi, yi) * dyi * from, accumulate);
  }
};

/// rdx[o][i] (+)= f'(x[i]) Rdy[o][i] + f''(x[i]) dy[i] Rx[o][i], where Rdy = rdy, or rdy + more when `split`. Of
/// piecewise linear functions dy and rx are not used, but must be readable.
template <class T, class F>
struct ActivationReverse {
  static constexpr bool kPacks = packs_pay<F>();
  F f;
  const T* x;
  const T* y;
  const T* rdy;
  const T* more;
  Index rdy_stride;
  const T* dy;
  const T* rx;
  Index rx_stride;
  T* rdx;
  Index rdx_stride;
  bool split, accumulate;
  HSO_HD void rows(Index o, const auto& use) const {
    use(x, y, rdy + o * rdy_stride, more + o * rdy_stride, dy, rx + o * rx_stride,
        out(rdx + o * rdx_stride, accumulate));
  }
  HSO_HD void element(const T& xi, const T& yi, const T& from, const T& second, const T& dyi, const T& rxi,
                      T& result) const {
    T sum = f.d1(xi, yi) * sum_of_parts(from, second, split);
    if constexpr (F::kHasSecond) sum += f.d2(xi, yi) * dyi * rxi;
    store(&result, sum, accumulate);
  }
};

/// Completes a tangent, then applies f to it: rx[lane][row][i] += b[lane][i] (+ more[lane][row][i] when `split`), then
/// ry[lane][row][i] (+)= f'(x[row][i]) rx[lane][row][i]. Launch with (lanes * lane_rows) x cols.
template <class T, class F>
struct ActivationAfterBias {
  static constexpr bool kPacks = packs_pay<F>();
  F f;
  const T* x;
  const T* y;
  const T* b;
  Index b_stride;
  T* rx;
  const T* more;
  Index rx_stride;
  T* ry;
  Index ry_stride, lane_rows, cols;
  bool split, accumulate;
  HSO_HD Radix<2> radix() const { return {{lane_rows}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index here = at[0] * cols;
    use(x + here, y + here, b + at[1] * b_stride, more + at[1] * rx_stride + here,
        out(rx + at[1] * rx_stride + here, true), out(ry + at[1] * ry_stride + here, accumulate));
  }
  HSO_HD void element(const T& xi, const T& yi, const T& bi, const T& second, T& rxi, T& result) const {
    const T whole = sum_of_parts(rxi, second, split) + bi;
    rxi = whole;
    store(&result, f.d1(xi, yi) * whole, accumulate);
  }
};

}  // namespace hso::detail
