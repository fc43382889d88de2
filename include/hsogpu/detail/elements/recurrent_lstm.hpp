// SPDX-License-Identifier: Apache-2.0
//
// The LSTM cell: i, f, o = logistic(a + p + b), g = tanh(a + p + b), c = f c' + i g, h = o tanh(c), gates in the order
// i, f, g, o. In the formulas q = tanh(c), s(y) = y (1 - y) and t(y) = 1 - y^2.
#pragma once

#include "hsogpu/detail/elements/recurrent.hpp"

namespace hso::detail {

template <class T>
struct RecurrentForward<T, LstmCell> {
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
    const T* pb = p + 4 * b;
    T* record = now + 6 * b;
    use(in, in + w, in + 2 * w, in + 3 * w, pb, pb + w, pb + 2 * w, pb + 3 * w, bias, bias + w, bias + 2 * w,
        bias + 3 * w, before + 6 * b + 4 * w, out(record, false), out(record + w, false), out(record + 2 * w, false),
        out(record + 3 * w, false), out(record + 4 * w, false), out(record + 5 * w, false), out(h + b, false),
        out(y.at(at), false));
  }
  HSO_HD void element(const T& ai, const T& af, const T& ag, const T& ao, const T& pi, const T& pf, const T& pg,
                      const T& po, const T& bi, const T& bf, const T& bg, const T& bo, const T& c_before, T& i, T& f,
                      T& g, T& o, T& c, T& q, T& hi, T& yi) const {
    const T in = logistic(ai + pi + bi), keep = logistic(af + pf + bf), add = tanh_of(ag + pg + bg);
    const T show = logistic(ao + po + bo), cell = keep * c_before + in * add, squashed = tanh_of(cell);
    i = in;
    f = keep;
    g = add;
    o = show;
    c = cell;
    q = squashed;
    hi = show * squashed;
    yi = show * squashed;
  }
};

/// Rc = Rf c' + f Rc' + Ri g + i Rg, Rh = Ro q + o t(q) Rc
template <class T>
struct RecurrentJvp<T, LstmCell> {
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
    const T* record = now + 6 * b;
    T* to = tangent.at(at);
    use(in, in + w, in + 2 * w, in + 3 * w, pb, pb + w, pb + 2 * w, pb + 3 * w, record, record + w, record + 2 * w,
        record + 3 * w, record + 5 * w, before + 6 * b + 4 * w, tangent_before.at(at) + 4 * w, out(to, false),
        out(to + w, false), out(to + 2 * w, false), out(to + 3 * w, false), out(to + 4 * w, false),
        out(rh.at(at), false), out(ry.at(at), accumulate));
  }
  HSO_HD void element(const T& ai, const T& af, const T& ag, const T& ao, const T& pi, const T& pf, const T& pg,
                      const T& po, const T& i, const T& f, const T& g, const T& o, const T& q, const T& c_before,
                      const T& rc_before, T& ri, T& rf, T& rg, T& ro, T& rc, T& rhi, T& ryi) const {
    const T in = slope_of_logistic(i) * (ai + pi), keep = slope_of_logistic(f) * (af + pf);
    const T add = slope_of_tanh(g) * (ag + pg), show = slope_of_logistic(o) * (ao + po);
    const T cell = keep * c_before + f * rc_before + in * g + i * add;
    const T result = show * q + o * slope_of_tanh(q) * cell;
    ri = in;
    rf = keep;
    rg = add;
    ro = show;
    rc = cell;
    rhi = result;
    store(&ryi, result, accumulate);
  }
};

/// dc += dh o t(q); dz = (dc g s(i), dc c' s(f), dc i t(g), dh q s(o)); dc' = dc f
template <class T>
struct RecurrentVjp<T, LstmCell> {
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
    const T* record = now + 6 * b;
    T* kept = adjoint.at(at);
    T* to = dz.at(at);
    use(dy.at(at), carry.at(at), record, record + w, record + 2 * w, record + 3 * w, record + 5 * w,
        before + 6 * b + 4 * w, out(state.at(at), true), out(kept, false), out(kept + w, false), out(to, false),
        out(to + w, false), out(to + 2 * w, false), out(to + 3 * w, false));
  }
  HSO_HD void element(const T& dyi, const T& ci, const T& i, const T& f, const T& g, const T& o, const T& q,
                      const T& c_before, T& dc, T& kept_dh, T& kept_dc, T& zi, T& zf, T& zg, T& zo) const {
    const T dh = dyi + ci, whole = dc + dh * o * slope_of_tanh(q);
    kept_dh = dh;
    kept_dc = whole;
    zi = whole * g * slope_of_logistic(i);
    zf = whole * c_before * slope_of_logistic(f);
    zg = whole * i * slope_of_tanh(g);
    zo = dh * q * slope_of_logistic(o);
    dc = whole * f;
  }
};

/// The tangent of RecurrentVjp along (Ri, Rf, Rg, Ro, Rc, Rc'), with Rq = t(q) Rc.
template <class T>
struct RecurrentReverse<T, LstmCell> {
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
    const T* record = now + 6 * b;
    const T* kept = adjoint + 2 * b;
    const T* r = tangent.at(at);
    T* to = rdz.at(at);
    use(rdy.at(at), carry.at(at), record, record + w, record + 2 * w, record + 3 * w, record + 5 * w,
        before + 6 * b + 4 * w, kept, kept + w, r, r + w, r + 2 * w, r + 3 * w, r + 4 * w,
        tangent_before.at(at) + 4 * w, out(state.at(at), true), out(to, false), out(to + w, false),
        out(to + 2 * w, false), out(to + 3 * w, false));
  }
  HSO_HD void element(const T& rdyi, const T& ci, const T& i, const T& f, const T& g, const T& o, const T& q,
                      const T& c_before, const T& dh, const T& dc, const T& ri, const T& rf, const T& rg, const T& ro,
                      const T& rc, const T& rc_before, T& rdc, T& zi, T& zf, T& zg, T& zo) const {
    const T rdh = rdyi + ci, tq = slope_of_tanh(q), rq = tq * rc;
    const T whole = rdc + (rdh * o + dh * ro) * tq - 2 * dh * o * q * rq;
    zi = (whole * g + dc * rg) * slope_of_logistic(i) + dc * g * (1 - 2 * i) * ri;
    zf = (whole * c_before + dc * rc_before) * slope_of_logistic(f) + dc * c_before * (1 - 2 * f) * rf;
    zg = (whole * i + dc * ri) * slope_of_tanh(g) - 2 * dc * i * g * rg;
    zo = (rdh * q + dh * rq) * slope_of_logistic(o) + dh * q * (1 - 2 * o) * ro;
    rdc = whole * f + dc * rf;
  }
};

}  // namespace hso::detail
