// SPDX-License-Identifier: Apache-2.0
//
// The scalars of cg and minres (solvers.hpp), one lane an element. They live in device memory, so that an iteration
// waits for nobody: dots_on_device leaves inner products, these functors turn them into the factors of the vector
// updates. A lane that has ended gets factors that leave its solution as it is, and its counts stand still, however
// many iterations are queued behind. Launch with K x 1.
#pragma once

#include <cmath>

#include "hsogpu/detail/elements/common.hpp"
#include "hsogpu/linalg/krylov_status.hpp"

namespace hso::detail {

/// The status of a lane that goes on; the others are code_of(KrylovStatus).
inline constexpr double kRunning = -1;

/// One number for each lane, [K] in device memory.
struct KrylovLanes {
  double *status, *iterations, *norm_b;
  double* products;  ///< that the lane still needed
  HSO_HD bool running(Index k) const { return status[k] == kRunning; }
  HSO_HD void stop(Index k, KrylovStatus why) const { status[k] = code_of(why); }
};

/// From bb = b'b. `keep` is 0 where b = 0, whose solution is 0, and 1 elsewhere.
template <class T>
struct KrylovStart {
  const double* bb;
  KrylovLanes lanes;
  T* zero;
  T* keep;
  HSO_HD void operator()(Index k, Index) const {
    const double norm = std::sqrt(bb[k]);
    lanes.norm_b[k] = norm;
    lanes.status[k] = kRunning;
    lanes.iterations[k] = 0;
    lanes.products[k] = 0;
    zero[k] = 0;
    keep[k] = norm > 0 ? T(1) : T(0);
  }
};

/// Before the first iteration: rr = r'r, rz = r'z.
template <class T>
struct CgStart {
  KrylovLanes lanes;
  double tolerance;
  const double* rr;
  const double* next;
  double* rz;
  HSO_HD void operator()(Index k, Index) const {
    rz[k] = next[k];
    if (!is_finite(lanes.norm_b[k]))
      lanes.stop(k, KrylovStatus::not_finite);
    else if (std::sqrt(rr[k]) <= tolerance * lanes.norm_b[k])
      lanes.stop(k, KrylovStatus::converged);
  }
};

/// The length along p from curvature = p'Ap: factors [3][K] = length, -length, 1.
template <class T>
struct CgLength {
  KrylovLanes lanes;
  const double* curvature;
  const double* rz;
  T* factors;
  Index count;
  HSO_HD void operator()(Index k, Index) const {
    const double pAp = curvature[k];
    double length = 0;
    if (lanes.running(k)) {
      lanes.products[k] += 1;
      if (!is_finite(pAp))
        lanes.stop(k, KrylovStatus::not_finite);
      else if (pAp <= 0)
        lanes.stop(k, KrylovStatus::negative_curvature);
      else
        length = rz[k] / pAp;
      if (!is_finite(static_cast<double>(static_cast<T>(length)))) {
        length = 0;
        lanes.stop(k, KrylovStatus::not_finite);
      }
      if (lanes.running(k)) lanes.iterations[k] += 1;
    }
    factors[k] = static_cast<T>(length);
    factors[count + k] = static_cast<T>(-length);
    factors[2 * count + k] = 1;
  }
};

/// Behind the new residual: whether the lane has converged, and p = z + share p; factors [2][K] = 1, share.
template <class T>
struct CgTurn {
  KrylovLanes lanes;
  double tolerance;
  const double* rr;
  const double* next;
  double* rz;
  T* factors;
  Index count;
  HSO_HD void operator()(Index k, Index) const {
    if (lanes.running(k) && std::sqrt(rr[k]) <= tolerance * lanes.norm_b[k]) lanes.stop(k, KrylovStatus::converged);
    factors[k] = 1;
    factors[count + k] = lanes.running(k) ? static_cast<T>(next[k] / rz[k]) : T(0);
    rz[k] = next[k];
  }
};

/// The recurrence of one lane of minres.
struct MinresLane {
  double beta, eta;  ///< the last coefficient, the signed residual norm
  double c, s, c_old, s_old;
  double size;  ///< the largest entry of the tridiagonal matrix so far: a lower bound of |A|
};

/// From rr = r'r: v = r / |r|; factors [2][K] = 1 / |r|, 0.
template <class T>
struct MinresStart {
  KrylovLanes lanes;
  double tolerance;
  const double* rr;
  MinresLane* state;
  T* factors;
  Index count;
  HSO_HD void operator()(Index k, Index) const {
    const double eta = std::sqrt(rr[k]);
    state[k] = {0, eta, 1, 0, 1, 0, 0};
    if (!is_finite(rr[k]))
      lanes.stop(k, KrylovStatus::not_finite);
    else if (eta <= tolerance * lanes.norm_b[k])
      lanes.stop(k, KrylovStatus::converged);
    factors[k] = lanes.running(k) ? static_cast<T>(1 / eta) : T(0);
    factors[count + k] = 0;
  }
};

/// p = A v - alpha v - beta v_old; factors [4][K] = -alpha, whether p is kept, -beta, 1.
template <class T>
struct MinresSubtract {
  KrylovLanes lanes;
  const double* alpha;
  const MinresLane* state;
  T* factors;
  Index count;
  HSO_HD void operator()(Index k, Index) const {
    if (lanes.running(k)) {
      lanes.iterations[k] += 1;
      lanes.products[k] += 1;
      if (!is_finite(alpha[k])) lanes.stop(k, KrylovStatus::not_finite);
    }
    const bool on = lanes.running(k);
    factors[k] = on ? static_cast<T>(-alpha[k]) : T(0);
    factors[count + k] = on ? T(1) : T(0);
    factors[2 * count + k] = on ? static_cast<T>(-state[k].beta) : T(0);
    factors[3 * count + k] = 1;
  }
};

/// From alpha and pp = p'p: one more column of the triangular factor, one more direction w, one more step of x.
/// factors [7][K]: w_new = f0 v + f1 w_older, w_new += f2 w, 1, x += f4 w_new, v_new = f5 p, 0. A pivot of `negligible`
/// size is rounding: A is singular and what is left of b lies outside its range.
template <class T>
struct MinresRotate {
  KrylovLanes lanes;
  double tolerance, negligible;
  const double* alpha;
  const double* pp;
  MinresLane* state;
  T* factors;
  Index count;
  HSO_HD void operator()(Index k, Index) const {
    double f[7] = {0, 0, 0, 1, 0, 0, 0};
    if (lanes.running(k)) rotate(k, f);
    for (Index j = 0; j < 7; ++j) factors[j * count + k] = static_cast<T>(f[j]);
  }

 private:
  HSO_HD void rotate(Index k, double* f) const {
    MinresLane l = state[k];
    const double a = alpha[k], beta = std::sqrt(pp[k]), delta = l.c * a - l.c_old * l.s * l.beta;
    const double rho1 = std::hypot(delta, beta), rho2 = l.s * a + l.c_old * l.c * l.beta, rho3 = l.s_old * l.beta;
    const double largest = std::abs(a) < beta ? beta : std::abs(a);
    l.size = l.size < largest ? largest : l.size;
    if (!is_finite(beta) || rho1 <= negligible * l.size)
      return lanes.stop(k, is_finite(beta) ? KrylovStatus::stalled : KrylovStatus::not_finite);
    l.c_old = l.c;
    l.s_old = l.s;
    l.c = delta / rho1;
    l.s = beta / rho1;
    f[0] = 1 / rho1;
    f[1] = -rho3 / rho1;
    f[2] = -rho2 / rho1;
    f[4] = l.c * l.eta;
    f[5] = beta > 0 ? 1 / beta : 0;
    l.eta *= -l.s;
    l.beta = beta;
    state[k] = l;
    if (std::abs(l.eta) <= tolerance * lanes.norm_b[k]) lanes.stop(k, KrylovStatus::converged);
  }
};

template <class T>
using KrylovOps =
    Types<KrylovStart<T>, CgStart<T>, CgLength<T>, CgTurn<T>, MinresStart<T>, MinresSubtract<T>, MinresRotate<T>>;

}  // namespace hso::detail
