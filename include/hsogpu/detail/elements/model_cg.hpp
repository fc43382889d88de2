// SPDX-License-Identifier: Apache-2.0
//
// The scalars of conjugate gradients on a quadratic model (host/optim/hso/model_cg.hpp), in device memory: lengths,
// the value phi of the model, norms in a trust region, and why a solve ends. Once it has ended nothing changes any
// more, however many iterations are queued behind. Launch with 1 x 1.
#pragma once

#include <cmath>

#include "hsogpu/detail/elements/krylov.hpp"

namespace hso::detail {

enum class ModelCgStop { residual, progress, iterations, boundary, negative_curvature, not_finite };

/// Of x and p in the norm of the preconditioner's inverse, by recurrence (Conn, Gould and Toint 2000, section 7.5.1).
struct RegionNorms {
  double xx, xp, pp;
  HSO_HD double after(double length) const { return std::sqrt(xx + length * (2 * xp + length * pp)); }
  /// The positive t of |x + t p| = radius.
  HSO_HD double exit(double radius) const {
    const double left = radius * radius - xx;
    return (-xp + std::sqrt(xp * xp + pp * (left < 0 ? 0 : left))) / pp;
  }
  /// x += length p, then p = z + share p with z'Mz = next and z'Mp = 0.
  HSO_HD void turn(double length, double share, double next) {
    xx += length * (2 * xp + length * pp);
    xp = share * (xp + length * pp);
    pp = next + share * share * pp;
  }
};

/// When a solve ends, beside what its numbers force.
struct ModelCgRules {
  double tolerance, progress, radius, delta;
  double definite;  ///< 1 or 0
  double history;   ///< numbers of phi that are held: phi of iteration i is at i % history
};

/// All doubles, so that it is read back as such. The rules are here because they change from solve to solve, and
/// recorded launches do not.
struct ModelCgState {
  double gg, xg, xr;         ///< inner products at the start
  double rr, next;           ///< r'r and r'z of the new residual
  double pp, pAp;            ///< p'p and p'(A + delta I)p
  double rz, length;         ///< of the last iterate
  double phi, norm;          ///< of the last iterate
  double rayleigh;           ///< the largest p'Ap / p'p so far
  double iterations, moves;  ///< the last iteration, and the last one that moved x
  double stop;               ///< kRunning or code_of(ModelCgStop)
  RegionNorms norms;
  ModelCgRules rules;

  HSO_HD double& phi_of(double* history, Index iteration) const {
    return history[iteration % static_cast<Index>(rules.history)];
  }
  /// Why a solve ends where the model has no minimum along p, or none within the range of T.
  HSO_HD double without_minimum() const {
    return code_of(rules.definite != 0 ? ModelCgStop::residual : ModelCgStop::negative_curvature);
  }
  /// Before each iteration.
  HSO_HD void judge(double* history) {
    const double residual = std::sqrt(rr);
    if (!is_finite(residual) || !is_finite(rz))
      stop = code_of(ModelCgStop::not_finite);
    else if (residual <= rules.tolerance * std::sqrt(gg) || !(rz > 0))
      stop = code_of(ModelCgStop::residual);
    else if (too_slow(history))
      stop = code_of(ModelCgStop::progress);
  }
  /// Each of the last k = 1 + i / 4 iterations gained less than `progress` of the mean gain, for which what a step
  /// costs beside its iterations counts as two of them: by then another step gains more for its cost.
  HSO_HD bool too_slow(double* history) const {
    const auto i = static_cast<Index>(iterations);
    const Index k = 1 + i / 4;
    if (i < k || !(phi < 0)) return false;
    return phi_of(history, i - k) - phi < -phi * static_cast<double>(k) * rules.progress / static_cast<double>(i + 2);
  }
};

/// From the inner products at the start; without `started` x is 0, and without a preconditioner rr is `next`. Factors
/// f2 = 1 and f5 = delta.
template <class T>
struct ModelCgStart {
  ModelCgRules rules;
  bool started, preconditioned;
  ModelCgState* state;
  double* history;
  T* factors;
  HSO_HD void operator()(Index, Index) const {
    ModelCgState s = *state;
    s.rules = rules;
    s.rz = s.next;
    s.rr = preconditioned ? s.rr : s.next;
    s.phi = started ? (s.xg - s.xr) / 2 : 0;
    s.length = s.norm = s.rayleigh = s.iterations = s.moves = 0;
    s.norms = {0, 0, s.rz};
    s.stop = kRunning;
    history[0] = s.phi;
    s.judge(history);
    factors[2] = 1;
    factors[5] = static_cast<T>(rules.delta);
    *state = s;
  }
};

/// From pAp and pp: x += f0 p, r += f1 ap; f3 = 1 and f4 = 0 where that makes a new iterate, otherwise f3 = 0 and f4
/// = 1. phi changes by -length r'p + length^2 p'(A + delta I)p / 2, and r'p = r'z.
template <class T>
struct ModelCgLength {
  ModelCgState* state;
  double* history;
  T* factors;
  HSO_HD void operator()(Index, Index) const {
    ModelCgState s = *state;
    const bool moves = s.stop == kRunning && step(s);
    const double length = moves ? s.length : 0;
    factors[0] = static_cast<T>(length);
    factors[1] = static_cast<T>(-length);
    factors[3] = moves ? T(1) : T(0);
    factors[4] = moves ? T(0) : T(1);
    *state = s;
  }

 private:
  /// False: x stays.
  HSO_HD bool step(ModelCgState& s) const {
    const double quotient = s.pAp / s.pp - s.rules.delta;
    s.rayleigh = s.rayleigh < quotient ? quotient : s.rayleigh;
    s.iterations += 1;
    if (!is_finite(s.pAp)) return s.stop = code_of(ModelCgStop::not_finite), false;
    s.length = s.rz / s.pAp;
    const bool outside = is_finite(s.rules.radius) && (s.pAp <= 0 || s.norms.after(s.length) > s.rules.radius);
    if (outside) s.length = s.norms.exit(s.rules.radius);
    const bool bounded = outside || s.pAp > 0;
    if (!bounded || !is_finite(static_cast<double>(static_cast<T>(s.length))))
      return s.stop = s.without_minimum(), false;
    s.phi += s.length * (s.length * s.pAp / 2 - s.rz);
    s.norm = outside ? s.rules.radius : s.norms.after(s.length);
    s.phi_of(history, static_cast<Index>(s.iterations)) = s.phi;
    s.moves = s.iterations;
    if (outside) s.stop = code_of(ModelCgStop::boundary);
    return true;
  }
};

/// From rr (without a preconditioner that is `next`) and next: p = f0 z + f1 p, and whether there is another iteration.
template <class T>
struct ModelCgTurn {
  bool preconditioned;
  ModelCgState* state;
  double* history;
  T* factors;
  HSO_HD void operator()(Index, Index) const {
    ModelCgState s = *state;
    const bool on = s.stop == kRunning;
    const double share = s.next / s.rz;
    factors[0] = on ? T(1) : T(0);
    factors[1] = on ? static_cast<T>(share) : T(1);
    if (!on) return;
    s.rr = preconditioned ? s.rr : s.next;
    s.norms.turn(s.length, share, s.next);
    s.rz = s.next;
    s.judge(history);
    *state = s;
  }
};

template <class T>
using ModelCgOps = Types<ModelCgStart<T>, ModelCgLength<T>, ModelCgTurn<T>>;

}  // namespace hso::detail
