// SPDX-License-Identifier: Apache-2.0
//
// Conjugate gradients on the quadratic model phi(x) = g'x + x'(A + delta I)x / 2 (Hestenes and Stiefel 1952;
// preconditioned: Saad, "Iterative methods", algorithm 9.1), stopped by the progress of phi rather than by the residual
// (Martens, ICML 2010, section 4.4), with some earlier iterates kept for backtracking (section 4.6), or truncated at a
// trust region (Steihaug 1983; Nocedal and Wright 2006, algorithm 7.2).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective.hpp"

namespace hso::detail {

enum class ModelCgStop { residual, progress, iterations, boundary, negative_curvature, not_finite };
const char* name_of(ModelCgStop stop);

struct ModelCgOptions {
  Index iterations = 250;
  double tolerance = 1e-10;  ///< of |r| / |g|, r = -(g + (A + delta I) x)
  double progress = 5e-4;    ///< stop when the last k = max(10, i / 10) iterations gained less than k times this share
  Index kept = 8;            ///< the last of the iterates at 1, 2, 3, 4, 6, 8, ..., growing by 1.3
  bool definite = false;     ///< A is positive semidefinite: p'Ap <= 0 is rounding, and the iterate as good as any
};

struct ModelCgResult {
  ModelCgStop stop = ModelCgStop::iterations;
  Index iterations = 0, products = 0;
  double phi = 0;       ///< of the last iterate
  double norm = 0;      ///< with a radius: of the last iterate, in the region's norm
  double rayleigh = 0;  ///< largest p'Ap / p'p of the search directions: a lower bound of A's largest eigenvalue
};

template <class T>
class ModelCg {
 public:
  explicit ModelCg(const ModelCgOptions& options) : o_(options) {}

  /// (5 + kept) vectors of n numbers; a sixth with a preconditioner.
  void make_room(Context& context, Index n, bool preconditioned);

  /// From x = start, device, or 0 where it is null. `inverse` approximates (A + delta I)^-1, positive definite; may be
  /// null. With a finite radius |x| <= radius in the norm of `inverse`'s inverse, start must be null, nothing is kept,
  /// and where p'(A + delta I)p <= 0 or the next iterate lies outside, x is where the line along p leaves the region.
  /// Otherwise negative curvature leaves the iterate before it.
  ModelCgResult minimize(LinearOperator<T>& a, double delta, const T* g, LinearOperator<T>* inverse, const T* start,
                         double radius = std::numeric_limits<double>::infinity());

  const T* x() const { return x_.data(); }
  /// The kept iterates from the last to the first; null when there are no more.
  const T* earlier();

 private:
  /// Of x and p in the norm of `inverse`'s inverse, by recurrence (Conn, Gould and Toint 2000, section 7.5.1).
  struct Norms {
    double xx = 0, xp = 0, pp = 0;
    double after(double length) const { return std::sqrt(xx + length * (2 * xp + length * pp)); }
    /// The positive t of |x + t p| = radius.
    double exit(double radius) const {
      return (-xp + std::sqrt(xp * xp + pp * std::max(radius * radius - xx, 0.0))) / pp;
    }
    /// x += length p, then p = z + share p with z'Mz = next and z'Mp = 0.
    void turn(double length, double share, double next) {
      xx += length * (2 * xp + length * pp);
      xp = share * (xp + length * pp);
      pp = next + share * share * pp;
    }
  };
  void begin(LinearOperator<T>& a, double delta, const T* g, const T* start);
  void apply(LinearOperator<T>& a, double delta, const T* v);
  const T* preconditioned(LinearOperator<T>* inverse);
  void advance(double length, double rz, double bend);
  bool ended(double size, double rz);
  ModelCgResult stop(ModelCgStop why);

  ModelCgOptions o_;
  Ops<T>* ops_ = nullptr;
  Index n_ = 0;
  Buffer<T> x_, r_, z_, p_, ap_, kept_;
  std::vector<Index> kept_at_;  ///< iteration of each row of kept_, a ring
  Index next_kept_ = 1, stored_ = 0, handed_out_ = 0;
  std::vector<double> phi_;
  ModelCgResult result_;
};

}  // namespace hso::detail
