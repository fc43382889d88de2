// SPDX-License-Identifier: Apache-2.0
//
// The plain recurrent cell h = f(z), z = a + p + b, for an activation f.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// h = f(z), z = a + p + b
template <class F>
struct RnnCell {
  static constexpr int kGates = 1;
  static constexpr int kRow = 1;
  static constexpr int kPoint = 1;    ///< z
  static constexpr int kTangent = 1;  ///< Rz
  static constexpr int kAdjoint = 1;  ///< dh
  static constexpr int kInputShift = 0;
  static constexpr bool kKeepsH = false;
  static constexpr bool kHasState = false;

  template <class Step, class Use>
  HSO_HD static void forward_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index b = at[0] * s.width;
    use(s.a.at(at), s.p + b, s.bias, out(s.now + b, false), out(s.h + b, false), out(s.y.at(at), false));
  }
  template <class T>
  HSO_HD static void forward(const T& ai, const T& pi, const T& bi, T& z, T& hi, T& yi) {
    const T sum = ai + pi + bi, value = F{}.value(sum);
    z = sum;
    hi = value;
    yi = value;
  }

  template <class Step, class Use>
  HSO_HD static void jvp_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index b = at[0] * s.width;
    use(s.ra.at(at), s.rp.at(at), s.now + b, s.h + b, out(s.tangent.at(at), false), out(s.rh.at(at), false),
        out(s.ry.at(at), s.accumulate));
  }
  template <class T>
  HSO_HD static void jvp(bool accumulate, const T& rai, const T& rpi, const T& z, const T& hi, T& rz, T& rhi, T& ryi) {
    const T sum = rai + rpi, slope = F{}.d1(z, hi), result = slope * sum;
    rz = sum;
    rhi = result;
    store(&ryi, result, accumulate);
  }

  template <class Step, class Use>
  HSO_HD static void vjp_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index b = at[0] * s.width;
    use(s.dy.at(at), s.carry.at(at), s.now + b, s.h + b, out(s.adjoint.at(at), false), out(s.dz.at(at), false));
  }
  template <class T>
  HSO_HD static void vjp(bool, const T& dyi, const T& ci, const T& z, const T& hi, T& dh, T& dzi) {
    const T whole = dyi + ci, slope = F{}.d1(z, hi);
    dh = whole;
    dzi = slope * whole;
  }

  template <class Step, class Use>
  HSO_HD static void reverse_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index b = at[0] * s.width;
    use(s.rdy.at(at), s.carry.at(at), s.now + b, s.h + b, s.adjoint + b, s.tangent.at(at), out(s.rdz.at(at), false));
  }
  template <class T>
  HSO_HD static void reverse(bool, const T& rdyi, const T& ci, const T& z, const T& hi, const T& dh, const T& rz,
                             T& result) {
    const T slope = F{}.d1(z, hi), bend = F{}.d2(z, hi);
    result = slope * (rdyi + ci) + bend * dh * rz;
  }
};

}  // namespace hso::detail
