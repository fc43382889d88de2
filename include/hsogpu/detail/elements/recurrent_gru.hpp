// SPDX-License-Identifier: Apache-2.0
//
// The GRU cell: r, z = logistic(a + p + b), n = tanh(a_n + r m) with m = p_n + b_n, h = n + z (h' - n), gates in the
// order r, z, n. In the formulas s(y) = y (1 - y) and t(y) = 1 - y^2.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// r, z = logistic(a + p + b), n = tanh(a + r (p + b)), h = n + z (h' - n). Cho et al. 2014, in cuDNN's form.
struct GruCell {
  static constexpr int kGates = 3;
  static constexpr int kRow = 4;      ///< of r, z, p_n, and of a_n
  static constexpr int kPoint = 4;    ///< r, z, n, p_n + b_n
  static constexpr int kTangent = 4;  ///< Rr, Rz, Rn, Rp_n
  static constexpr int kAdjoint = 1;  ///< dh
  static constexpr int kInputShift = 1;
  static constexpr bool kKeepsH = true;
  static constexpr bool kHasState = false;

  template <class Step, class Use>
  HSO_HD static void forward_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index w = s.width, b = at[0] * w;
    const auto* in = s.a.at(at);
    const auto* pb = s.p + 3 * b;
    auto* record = s.now + 4 * b;
    use(in, in + w, in + 2 * w, pb, pb + w, pb + 2 * w, s.bias, s.bias + w, s.bias + 2 * w, s.h_before + b,
        out(record, false), out(record + w, false), out(record + 2 * w, false), out(record + 3 * w, false),
        out(s.h + b, false), out(s.y.at(at), false));
  }
  template <class T>
  HSO_HD static void forward(const T& ar, const T& az, const T& an, const T& pr, const T& pz, const T& pn, const T& br,
                             const T& bz, const T& bn, const T& h_old, T& r, T& z, T& n, T& m, T& hi, T& yi) {
    const T reset = logistic(ar + pr + br), update = logistic(az + pz + bz), inner = pn + bn;
    const T fresh = tanh_of(an + reset * inner), value = fresh + update * (h_old - fresh);
    r = reset;
    z = update;
    n = fresh;
    m = inner;
    hi = value;
    yi = value;
  }

  template <class Step, class Use>
  HSO_HD static void jvp_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index w = s.width, b = at[0] * w;
    const auto* in = s.ra.at(at);
    const auto* pb = s.rp.at(at);
    const auto* record = s.now + 4 * b;
    auto* to = s.tangent.at(at);
    use(in, in + w, in + 2 * w, pb, pb + w, pb + 2 * w, record, record + w, record + 2 * w, record + 3 * w,
        s.h_before + b, s.rh_before.at(at), out(to, false), out(to + w, false), out(to + 2 * w, false),
        out(to + 3 * w, false), out(s.rh.at(at), false), out(s.ry.at(at), s.accumulate));
  }
  /// Rn = t(n) (Ra_n + Rr m + r Rm), Rh = Rn + Rz (h' - n) + z (Rh' - Rn)
  template <class T>
  HSO_HD static void jvp(bool accumulate, const T& ar, const T& az, const T& an, const T& pr, const T& pz, const T& pn,
                         const T& r, const T& z, const T& n, const T& m, const T& h_old, const T& rh_old, T& rr, T& rz,
                         T& rn, T& rm, T& rhi, T& ryi) {
    const T reset = slope_of_logistic(r) * (ar + pr), update = slope_of_logistic(z) * (az + pz);
    const T fresh = slope_of_tanh(n) * (an + reset * m + r * pn);
    const T result = fresh + update * (h_old - n) + z * (rh_old - fresh);
    rr = reset;
    rz = update;
    rn = fresh;
    rm = pn;
    rhi = result;
    store(&ryi, result, accumulate);
  }

  template <class Step, class Use>
  HSO_HD static void vjp_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index w = s.width, b = at[0] * w;
    const auto* record = s.now + 4 * b;
    auto* to = s.dz.at(at);
    use(s.dy.at(at), s.carry.at(at), record, record + w, record + 2 * w, record + 3 * w, s.h_before + b,
        out(s.adjoint.at(at), false), out(to, false), out(to + w, false), out(to + 2 * w, false),
        out(to + 3 * w, false), out(s.carry_out.at(at), s.accumulate));
  }
  /// dn = dh (1 - z) t(n); dz = (dn m s(r), dh (h' - n) s(z), dn r, dn); dh' += dh z
  template <class T>
  HSO_HD static void vjp(bool accumulate, const T& dyi, const T& ci, const T& r, const T& z, const T& n, const T& m,
                         const T& h_old, T& kept, T& zr, T& zz, T& zm, T& zn, T& back) {
    const T dh = dyi + ci, dn = dh * (1 - z) * slope_of_tanh(n);
    kept = dh;
    zr = dn * m * slope_of_logistic(r);
    zz = dh * (h_old - n) * slope_of_logistic(z);
    zm = dn * r;
    zn = dn;
    store(&back, dh * z, accumulate);
  }

  template <class Step, class Use>
  HSO_HD static void reverse_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index w = s.width, b = at[0] * w;
    const auto* record = s.now + 4 * b;
    const auto* r = s.tangent.at(at);
    auto* to = s.rdz.at(at);
    use(s.rdy.at(at), s.carry.at(at), record, record + w, record + 2 * w, record + 3 * w, s.h_before + b, s.adjoint + b,
        r, r + w, r + 2 * w, r + 3 * w, s.rh_before.at(at), out(to, false), out(to + w, false), out(to + 2 * w, false),
        out(to + 3 * w, false), out(s.carry_out.at(at), s.accumulate));
  }
  /// The tangent of RecurrentVjp along (Rr, Rz, Rn, Rm, Rh').
  template <class T>
  HSO_HD static void reverse(bool accumulate, const T& rdyi, const T& ci, const T& r, const T& z, const T& n,
                             const T& m, const T& h_old, const T& dh, const T& rr, const T& rz, const T& rn,
                             const T& rm, const T& rh_old, T& zr, T& zz, T& zm, T& zn, T& back) {
    const T rdh = rdyi + ci, tn = slope_of_tanh(n), dn = dh * (1 - z) * tn;
    const T rdn = (rdh * (1 - z) - dh * rz) * tn - 2 * dh * (1 - z) * n * rn;
    zr = (rdn * m + dn * rm) * slope_of_logistic(r) + dn * m * (1 - 2 * r) * rr;
    zz = (rdh * (h_old - n) + dh * (rh_old - rn)) * slope_of_logistic(z) + dh * (h_old - n) * (1 - 2 * z) * rz;
    zm = rdn * r + dn * rr;
    zn = rdn;
    store(&back, rdh * z + dh * rz, accumulate);
  }
};

}  // namespace hso::detail
