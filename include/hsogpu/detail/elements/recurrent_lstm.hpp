// SPDX-License-Identifier: Apache-2.0
//
// The LSTM cell: i, f, o = logistic(a + p + b), g = tanh(a + p + b), c = f c' + i g, h = o tanh(c), gates in the order
// i, f, g, o. In the formulas q = tanh(c), s(y) = y (1 - y) and t(y) = 1 - y^2.
#pragma once

#include "hsogpu/detail/elements/common.hpp"

namespace hso::detail {

/// i, f, o = logistic, g = tanh; c = f c' + i g, h = o tanh(c). Hochreiter and Schmidhuber 1997, Gers et al. 2000.
struct LstmCell {
  static constexpr int kGates = 4;
  static constexpr int kRow = 4;
  static constexpr int kPoint = 6;    ///< i, f, g, o, c, tanh(c)
  static constexpr int kTangent = 5;  ///< Ri, Rf, Rg, Ro, Rc
  static constexpr int kAdjoint = 2;  ///< dh, dc
  static constexpr int kInputShift = 0;
  static constexpr bool kKeepsH = false;
  static constexpr bool kHasState = true;  ///< dc goes from step to step

  template <class Step, class Use>
  HSO_HD static void forward_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index w = s.width, b = at[0] * w;
    const auto* in = s.a.at(at);
    const auto* pb = s.p + 4 * b;
    auto* record = s.now + 6 * b;
    use(in, in + w, in + 2 * w, in + 3 * w, pb, pb + w, pb + 2 * w, pb + 3 * w, s.bias, s.bias + w, s.bias + 2 * w,
        s.bias + 3 * w, s.before + 6 * b + 4 * w, out(record, false), out(record + w, false),
        out(record + 2 * w, false), out(record + 3 * w, false), out(record + 4 * w, false), out(record + 5 * w, false),
        out(s.h + b, false), out(s.y.at(at), false));
  }
  template <class T>
  HSO_HD static void forward(const T& ai, const T& af, const T& ag, const T& ao, const T& pi, const T& pf, const T& pg,
                             const T& po, const T& bi, const T& bf, const T& bg, const T& bo, const T& c_before, T& i,
                             T& f, T& g, T& o, T& c, T& q, T& hi, T& yi) {
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

  template <class Step, class Use>
  HSO_HD static void jvp_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index w = s.width, b = at[0] * w;
    const auto* in = s.ra.at(at);
    const auto* pb = s.rp.at(at);
    const auto* record = s.now + 6 * b;
    auto* to = s.tangent.at(at);
    use(in, in + w, in + 2 * w, in + 3 * w, pb, pb + w, pb + 2 * w, pb + 3 * w, record, record + w, record + 2 * w,
        record + 3 * w, record + 5 * w, s.before + 6 * b + 4 * w, s.tangent_before.at(at) + 4 * w, out(to, false),
        out(to + w, false), out(to + 2 * w, false), out(to + 3 * w, false), out(to + 4 * w, false),
        out(s.rh.at(at), false), out(s.ry.at(at), s.accumulate));
  }
  /// Rc = Rf c' + f Rc' + Ri g + i Rg, Rh = Ro q + o t(q) Rc
  template <class T>
  HSO_HD static void jvp(bool accumulate, const T& ai, const T& af, const T& ag, const T& ao, const T& pi, const T& pf,
                         const T& pg, const T& po, const T& i, const T& f, const T& g, const T& o, const T& q,
                         const T& c_before, const T& rc_before, T& ri, T& rf, T& rg, T& ro, T& rc, T& rhi, T& ryi) {
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

  template <class Step, class Use>
  HSO_HD static void vjp_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index w = s.width, b = at[0] * w;
    const auto* record = s.now + 6 * b;
    auto* kept = s.adjoint.at(at);
    auto* to = s.dz.at(at);
    use(s.dy.at(at), s.carry.at(at), record, record + w, record + 2 * w, record + 3 * w, record + 5 * w,
        s.before + 6 * b + 4 * w, out(s.state.at(at), true), out(kept, false), out(kept + w, false), out(to, false),
        out(to + w, false), out(to + 2 * w, false), out(to + 3 * w, false));
  }
  /// dc += dh o t(q); dz = (dc g s(i), dc c' s(f), dc i t(g), dh q s(o)); dc' = dc f
  template <class T>
  HSO_HD static void vjp(bool, const T& dyi, const T& ci, const T& i, const T& f, const T& g, const T& o, const T& q,
                         const T& c_before, T& dc, T& kept_dh, T& kept_dc, T& zi, T& zf, T& zg, T& zo) {
    const T dh = dyi + ci, whole = dc + dh * o * slope_of_tanh(q);
    kept_dh = dh;
    kept_dc = whole;
    zi = whole * g * slope_of_logistic(i);
    zf = whole * c_before * slope_of_logistic(f);
    zg = whole * i * slope_of_tanh(g);
    zo = dh * q * slope_of_logistic(o);
    dc = whole * f;
  }

  template <class Step, class Use>
  HSO_HD static void reverse_operands(const Step& s, const Digits<2>& at, const Use& use) {
    const Index w = s.width, b = at[0] * w;
    const auto* record = s.now + 6 * b;
    const auto* kept = s.adjoint + 2 * b;
    const auto* r = s.tangent.at(at);
    auto* to = s.rdz.at(at);
    use(s.rdy.at(at), s.carry.at(at), record, record + w, record + 2 * w, record + 3 * w, record + 5 * w,
        s.before + 6 * b + 4 * w, kept, kept + w, r, r + w, r + 2 * w, r + 3 * w, r + 4 * w,
        s.tangent_before.at(at) + 4 * w, out(s.state.at(at), true), out(to, false), out(to + w, false),
        out(to + 2 * w, false), out(to + 3 * w, false));
  }
  /// The tangent of RecurrentVjp along (Ri, Rf, Rg, Ro, Rc, Rc'), with Rq = t(q) Rc.
  template <class T>
  HSO_HD static void reverse(bool, const T& rdyi, const T& ci, const T& i, const T& f, const T& g, const T& o,
                             const T& q, const T& c_before, const T& dh, const T& dc, const T& ri, const T& rf,
                             const T& rg, const T& ro, const T& rc, const T& rc_before, T& rdc, T& zi, T& zf, T& zg,
                             T& zo) {
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
