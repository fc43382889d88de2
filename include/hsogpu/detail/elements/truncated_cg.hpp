// SPDX-License-Identifier: Apache-2.0
//
// The scalars of conjugate gradients in a ball (host/optim/quasi_newton/truncated_cg.hpp), in device memory, as in
// model_cg.hpp: once a solve has ended nothing changes any more. Launch with 1 x 1.
#pragma once

#include <cmath>

#include "hsogpu/detail/elements/krylov.hpp"

namespace hso::detail {

enum class TruncatedCgEnd {
  converged,
  iterations,
  negative_curvature,  ///< p'Ap <= 0: s lies on the sphere along p; infinite radius: s is the iterate before, or -g
  boundary,            ///< an iterate left the ball: s lies on the sphere
  not_finite           ///< g or a product is not finite: s is the iterate before
};

/// All doubles, so that it is read back as such.
struct TruncatedCgState {
  double rr, next;        ///< r'r of the last iterate, and of the new one
  double pAp;             ///< p'Ap
  double pp, sp, ss;      ///< where there is a radius
  double gs, rs;          ///< at the end: g's and r's
  double products, stop;  ///< kRunning or code_of(TruncatedCgEnd)
  double steepest;        ///< 1: s is -g for want of an iterate

  /// tau >= 0 with |s + tau p| = radius.
  HSO_HD double to_sphere(double radius) const {
    if (!is_finite(radius)) return radius;
    const double difference = radius * radius - ss, left = difference < 0 ? 0 : difference;
    const double root = std::sqrt(sp * sp + pp * left);
    return sp > 0 ? left / (sp + root) : (root - sp) / pp;  // no cancellation either way
  }
};

/// From rr = r'r.
template <class T>
struct TruncatedCgStart {
  double tolerance;
  TruncatedCgState* state;
  HSO_HD void operator()(Index, Index) const {
    TruncatedCgState s{};
    s.rr = state->rr;
    s.stop = kRunning;
    if (!is_finite(s.rr))
      s.stop = code_of(TruncatedCgEnd::not_finite);
    else if (std::sqrt(s.rr) <= tolerance)
      s.stop = code_of(TruncatedCgEnd::converged);
    *state = s;
  }
};

/// From pAp, and with a radius pp, sp and ss: s = s + f0 p, r = r + f1 ap; f2 = 1.
template <class T>
struct TruncatedCgLength {
  double radius;
  TruncatedCgState* state;
  T* factors;
  HSO_HD void operator()(Index, Index) const {
    TruncatedCgState s = *state;
    const double length = s.stop == kRunning ? step(s) : 0;
    factors[0] = static_cast<T>(length);
    factors[1] = s.steepest != 0 ? T(0) : static_cast<T>(length);
    factors[2] = 1;
    *state = s;
  }

 private:
  HSO_HD double step(TruncatedCgState& s) const {
    s.products += 1;
    if (!is_finite(s.pAp)) return s.stop = code_of(TruncatedCgEnd::not_finite), 0.0;
    const double length = s.rr / s.pAp, limit = s.to_sphere(radius);
    if (!(s.pAp > 0) || !is_finite(static_cast<double>(static_cast<T>(length)))) return along_negative(s, limit);
    if (length < limit) return length;
    s.stop = code_of(TruncatedCgEnd::boundary);
    return limit;
  }
  /// The first p is -g.
  HSO_HD double along_negative(TruncatedCgState& s, double limit) const {
    s.stop = code_of(TruncatedCgEnd::negative_curvature);
    if (is_finite(radius)) return limit;
    s.steepest = s.products == 1 ? 1 : 0;
    return s.steepest;
  }
};

/// From next: p = f0 r + f1 p, and whether there is another iteration.
template <class T>
struct TruncatedCgTurn {
  double tolerance;
  TruncatedCgState* state;
  T* factors;
  HSO_HD void operator()(Index, Index) const {
    TruncatedCgState s = *state;
    const bool on = s.stop == kRunning;
    factors[0] = on ? T(-1) : T(0);
    factors[1] = on ? static_cast<T>(s.next / s.rr) : T(1);
    if (!on) return;
    if (!is_finite(s.next)) {
      s.stop = code_of(TruncatedCgEnd::not_finite);
    } else {
      s.rr = s.next;
      if (std::sqrt(s.rr) <= tolerance) s.stop = code_of(TruncatedCgEnd::converged);
    }
    *state = s;
  }
};

template <class T>
using TruncatedCgOps = Types<TruncatedCgStart<T>, TruncatedCgLength<T>, TruncatedCgTurn<T>>;

}  // namespace hso::detail
