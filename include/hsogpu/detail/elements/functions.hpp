// SPDX-License-Identifier: Apache-2.0
//
// Elementary functions for expressions, in the form of the activations: value, first and second derivative from x and
// y = value(x). Outside its domain a function is NaN or infinite, as in the standard library.
#pragma once

#include "hsogpu/detail/elements/activation.hpp"
#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

struct Exp {
  static constexpr bool kHasSecond = true;
  template <class T>
  HSO_HD T value(T x) const {
    return exp_of(x);
  }
  template <class T>
  HSO_HD T d1(T, T y) const {
    return y;
  }
  template <class T>
  HSO_HD T d2(T, T y) const {
    return y;
  }
};

struct Log {
  static constexpr bool kHasSecond = true;
  template <class T>
  HSO_HD T value(T x) const {
    return std::log(x);
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    return 1 / x;
  }
  template <class T>
  HSO_HD T d2(T x, T) const {
    return -1 / (x * x);
  }
};

struct Sqrt {
  static constexpr bool kHasSecond = true;
  template <class T>
  HSO_HD T value(T x) const {
    return std::sqrt(x);
  }
  template <class T>
  HSO_HD T d1(T, T y) const {
    return T(0.5) / y;
  }
  template <class T>
  HSO_HD T d2(T x, T y) const {
    return T(-0.25) / (x * y);
  }
};

struct Inverse {  // 1 / x
  static constexpr bool kHasSecond = true;
  template <class T>
  HSO_HD T value(T x) const {
    return 1 / x;
  }
  template <class T>
  HSO_HD T d1(T, T y) const {
    return -y * y;
  }
  template <class T>
  HSO_HD T d2(T, T y) const {
    return 2 * y * y * y;
  }
};

struct Sin {
  static constexpr bool kHasSecond = true, kPacks = false;
  template <class T>
  HSO_HD T value(T x) const {
    return std::sin(x);
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    return std::cos(x);
  }
  template <class T>
  HSO_HD T d2(T, T y) const {
    return -y;
  }
};

struct Cos {
  static constexpr bool kHasSecond = true, kPacks = false;
  template <class T>
  HSO_HD T value(T x) const {
    return std::cos(x);
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    return -std::sin(x);
  }
  template <class T>
  HSO_HD T d2(T, T y) const {
    return -y;
  }
};

struct Atan {
  static constexpr bool kHasSecond = true, kPacks = false;
  template <class T>
  HSO_HD T value(T x) const {
    return std::atan(x);
  }
  template <class T>
  HSO_HD T d1(T x, T) const {
    return 1 / (1 + x * x);
  }
  template <class T>
  HSO_HD T d2(T x, T) const {
    const T r = 1 / (1 + x * x);
    return -2 * x * r * r;
  }
};

struct AffineMap {  // scale x + shift
  static constexpr bool kHasSecond = false;
  FunctionConstant scale = 1, shift = 0;
  template <class T>
  HSO_HD T value(T x) const {
    return T(scale) * x + T(shift);
  }
  template <class T>
  HSO_HD T d1(T, T) const {
    return T(scale);
  }
  template <class T>
  HSO_HD T d2(T, T) const {
    return 0;
  }
};

/// What expressions are made of beside them; graph/expression.cpp.
template <template <class> class Use>
using ForFunctions = Types<Use<Exp>, Use<Log>, Use<Sqrt>, Use<Inverse>, Use<Sin>, Use<Cos>, Use<Atan>, Use<AffineMap>>;

template <class T>
struct ActivationLists {
  template <class F>
  using Value = ActivationValue<T, F>;
  template <class F>
  using First = ActivationFirst<T, F>;
  template <class F>
  using Second = ActivationSecond<T, F>;
  template <class F>
  using Reverse = ActivationReverse<T, F>;
  template <class F>
  using AfterBias = ActivationAfterBias<T, F>;
  template <template <class> class... Use>
  using All = typename Joined<ForActivations<Use>..., ForFunctions<Use>...>::type;
  using type = All<Value, First, Second, Reverse, AfterBias>;
};
template <class T>
using ActivationOps = typename ActivationLists<T>::type;

}  // namespace hso::detail
