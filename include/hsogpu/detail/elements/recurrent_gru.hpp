// SPDX-License-Identifier: Apache-2.0
//
// The GRU cell: r, z = logistic(a + p + b), n = tanh(a_n + r m) with m = p_n + b_n, h = n + z (h' - n), gates in the
// order r, z, n. In the formulas s(y) = y (1 - y) and t(y) = 1 - y^2.
#pragma once

#include "hsogpu/detail/elements/recurrent.hpp"

namespace hso::detail {

template <class T>
struct RecurrentForward<T, GruCell> {
  static constexpr bool kPacks = false;
  Strip<const T> a;
  const T* p;
  const T* bias;
  const T* before;
  T* now;
  const T* h_before;
  T* h;
  Strip<T> y;
  Index batch, width;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index w = width, b = at[0] * w;
    const T* in = a.at(at);
    const T* pb = p + 3 * b;
    T* record = now + 4 * b;
    use(in, in + w, in + 2 * w, pb, pb + w, pb + 2 * w, bias, bias + w, bias + 2 * w, h_before + b, out(record, false),
        out(record + w, false), out(record + 2 * w, false), out(record + 3 * w, false), out(h + b, false),
        out(y.at(at), false));
  }
  HSO_HD void element(const T& ar, const T& az, const T& an, const T& pr, const T& pz, const T& pn, const T& br,
                      const T& bz, const T& bn, const T& h_old, T& r, T& z, T& n, T& m, T& hi, T& yi) const {
    const T reset = logistic(ar + pr + br), update = logistic(az + pz + bz), inner = pn + bn;
    const T fresh = tanh_of(an + reset * inner), value = fresh + update * (h_old - fresh);
    r = reset;
    z = update;
    n = fresh;
    m = inner;
    hi = value;
    yi = value;
  }
};

/// Rn = t(n) (Ra_n + Rr m + r Rm), Rh = Rn + Rz (h' - n) + z (Rh' - Rn)
template <class T>
struct RecurrentJvp<T, GruCell> {
  static constexpr bool kPacks = false;
  Strip<const T> ra, rp;
  const T* before;
  const T* now;
  const T* h_before;
  const T* h;
  Strip<const T> tangent_before;
  Strip<T> tangent;
  Strip<const T> rh_before;
  Strip<T> rh, ry;
  Index batch, width;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index w = width, b = at[0] * w;
    const T* in = ra.at(at);
    const T* pb = rp.at(at);
    const T* record = now + 4 * b;
    T* to = tangent.at(at);
    use(in, in + w, in + 2 * w, pb, pb + w, pb + 2 * w, record, record + w, record + 2 * w, record + 3 * w,
        h_before + b, rh_before.at(at), out(to, false), out(to + w, false), out(to + 2 * w, false),
        out(to + 3 * w, false), out(rh.at(at), false), out(ry.at(at), accumulate));
  }
  HSO_HD void element(const T& ar, const T& az, const T& an, const T& pr, const T& pz, const T& pn, const T& r,
                      const T& z, const T& n, const T& m, const T& h_old, const T& rh_old, T& rr, T& rz, T& rn, T& rm,
                      T& rhi, T& ryi) const {
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
};

/// dn = dh (1 - z) t(n); dz = (dn m s(r), dh (h' - n) s(z), dn r, dn); dh' += dh z
template <class T>
struct RecurrentVjp<T, GruCell> {
  static constexpr bool kPacks = false;
  Strip<const T> dy, carry;
  Strip<T> carry_out, state;
  const T* before;
  const T* now;
  const T* h_before;
  const T* h;
  Strip<T> adjoint, dz;
  Index batch, width;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index w = width, b = at[0] * w;
    const T* record = now + 4 * b;
    T* to = dz.at(at);
    use(dy.at(at), carry.at(at), record, record + w, record + 2 * w, record + 3 * w, h_before + b,
        out(adjoint.at(at), false), out(to, false), out(to + w, false), out(to + 2 * w, false), out(to + 3 * w, false),
        out(carry_out.at(at), accumulate));
  }
  HSO_HD void element(const T& dyi, const T& ci, const T& r, const T& z, const T& n, const T& m, const T& h_old,
                      T& kept, T& zr, T& zz, T& zm, T& zn, T& back) const {
    const T dh = dyi + ci, dn = dh * (1 - z) * slope_of_tanh(n);
    kept = dh;
    zr = dn * m * slope_of_logistic(r);
    zz = dh * (h_old - n) * slope_of_logistic(z);
    zm = dn * r;
    zn = dn;
    store(&back, dh * z, accumulate);
  }
};

/// The tangent of RecurrentVjp along (Rr, Rz, Rn, Rm, Rh').
template <class T>
struct RecurrentReverse<T, GruCell> {
  static constexpr bool kPacks = false;
  Strip<const T> rdy, carry;
  Strip<T> carry_out, state;
  const T* before;
  const T* now;
  const T* h_before;
  const T* h;
  const T* adjoint;
  Strip<const T> tangent_before, tangent, rh_before;
  Strip<T> rdz;
  Index batch, width;
  bool accumulate;
  HSO_HD Radix<2> radix() const { return {{batch}}; }
  HSO_HD void rows(const Digits<2>& at, const auto& use) const {
    const Index w = width, b = at[0] * w;
    const T* record = now + 4 * b;
    const T* r = tangent.at(at);
    T* to = rdz.at(at);
    use(rdy.at(at), carry.at(at), record, record + w, record + 2 * w, record + 3 * w, h_before + b, adjoint + b, r,
        r + w, r + 2 * w, r + 3 * w, rh_before.at(at), out(to, false), out(to + w, false), out(to + 2 * w, false),
        out(to + 3 * w, false), out(carry_out.at(at), accumulate));
  }
  HSO_HD void element(const T& rdyi, const T& ci, const T& r, const T& z, const T& n, const T& m, const T& h_old,
                      const T& dh, const T& rr, const T& rz, const T& rn, const T& rm, const T& rh_old, T& zr, T& zz,
                      T& zm, T& zn, T& back) const {
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
