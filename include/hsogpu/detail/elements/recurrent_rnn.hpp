// SPDX-License-Identifier: Apache-2.0
//
// The plain recurrent cell h = f(z), z = a + p + b, for an activation f.
#pragma once

#include "hsogpu/detail/elements/recurrent.hpp"

namespace hso::detail {

template <class T, class F>
struct RecurrentForward<T, RnnCell<F>> {
  static constexpr bool kPacks = false;
  Strip<const T> a;
  const T* p;
  const T* bias;
  const T* before;    ///< the point record of the step before
  T* now;             ///< of this step
  const T* h_before;  ///< h of the step before
  T* h;
  Strip<T> y;
  Index batch, width;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index b = at[0] * width;
    use(a.at(at), p + b, bias, out(now + b, false), out(h + b, false), out(y.at(at), false));
  }
  HSO_HD void element(const T& ai, const T& pi, const T& bi, T& z, T& hi, T& yi) const {
    const T sum = ai + pi + bi, value = F{}.value(sum);
    z = sum;
    hi = value;
    yi = value;
  }
};

template <class T, class F>
struct RecurrentJvp<T, RnnCell<F>> {
  static constexpr bool kPacks = false;
  Strip<const T> ra, rp;
  const T* before;
  const T* now;
  const T* h_before;
  const T* h;  ///< of this step
  Strip<const T> tangent_before;
  Strip<T> tangent;
  Strip<const T> rh_before;
  Strip<T> rh, ry;
  Index batch, width;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index b = at[0] * width;
    use(ra.at(at), rp.at(at), now + b, h + b, out(tangent.at(at), false), out(rh.at(at), false),
        out(ry.at(at), accumulate));
  }
  HSO_HD void element(const T& rai, const T& rpi, const T& z, const T& hi, T& rz, T& rhi, T& ryi) const {
    const T sum = rai + rpi, slope = F{}.d1(z, hi), result = slope * sum;
    rz = sum;
    rhi = result;
    store(&ryi, result, accumulate);
  }
};

template <class T, class F>
struct RecurrentVjp<T, RnnCell<F>> {
  static constexpr bool kPacks = false;
  Strip<const T> dy, carry;
  Strip<T> carry_out;  ///< what h sends back other than by p
  Strip<T> state;      ///< the adjoint of c, of the step after and then of this one
  const T* before;
  const T* now;
  const T* h_before;
  const T* h;
  Strip<T> adjoint, dz;
  Index batch, width;
  bool accumulate;  ///< of carry_out
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index b = at[0] * width;
    use(dy.at(at), carry.at(at), now + b, h + b, out(adjoint.at(at), false), out(dz.at(at), false));
  }
  HSO_HD void element(const T& dyi, const T& ci, const T& z, const T& hi, T& dh, T& dzi) const {
    const T whole = dyi + ci, slope = F{}.d1(z, hi);
    dh = whole;
    dzi = slope * whole;
  }
};

template <class T, class F>
struct RecurrentReverse<T, RnnCell<F>> {
  static constexpr bool kPacks = false;
  Strip<const T> rdy, carry;
  Strip<T> carry_out, state;
  const T* before;
  const T* now;
  const T* h_before;
  const T* h;
  const T* adjoint;  ///< of this step
  Strip<const T> tangent_before, tangent, rh_before;
  Strip<T> rdz;
  Index batch, width;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index b = at[0] * width;
    use(rdy.at(at), carry.at(at), now + b, h + b, adjoint + b, tangent.at(at), out(rdz.at(at), false));
  }
  HSO_HD void element(const T& rdyi, const T& ci, const T& z, const T& hi, const T& dh, const T& rz, T& result) const {
    const T slope = F{}.d1(z, hi), bend = F{}.d2(z, hi);
    result = slope * (rdyi + ci) + bend * dh * rz;
  }
};

}  // namespace hso::detail
