// SPDX-License-Identifier: Apache-2.0
//
// Conjugate gradients on the quadratic model phi(x) = g'x + x'(A + delta I)x / 2 (Hestenes and Stiefel 1952;
// preconditioned: Saad, "Iterative methods", algorithm 9.1) of hso.cg, newton_cg and sr1. A may be indefinite. A solve
// ends by the residual or by the progress of phi (Martens, ICML 2010, section 4.4), with some earlier iterates kept for
// backtracking (section 4.6); where A bends down (Nocedal and Wright 2006, algorithm 7.1); or at the bound of a trust
// region (Steihaug, SIAM J. Numer. Anal. 20 (1983) 626; Nocedal and Wright, algorithm 7.2). Every number stays on the
// device (elements/model_cg.hpp); the host looks late, first when as many iterations are queued as the last solve took.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "hsogpu/core/state.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/objective/objective.hpp"
#include "linalg/late_look.hpp"
#include "optim/quasi_newton/lbfgs_inverse.hpp"

namespace hso::detail {

const char* name_of(ModelCgStop stop);

struct ModelCgOptions {
  Index iterations = 250;
  double tolerance = 1e-10;  ///< of |r| / |g|, r = -(g + (A + delta I) x)
  double progress = 1;       ///< stop when iterations gain less than this share of the mean gain; 0: never
  Index kept = 8;            ///< the last of the iterates at 1, 2, 3, 4, 6, 8, ..., growing by 1.3
  bool definite = false;     ///< A is positive semidefinite: p'Ap <= 0 is rounding, and the iterate as good as any
};

struct ModelCgResult {
  ModelCgStop stop = ModelCgStop::iterations;
  Index iterations = 0, products = 0;
  double phi = 0;       ///< of the last iterate
  double norm = 0;      ///< of the last iterate, in the norm of the preconditioner's inverse
  double rayleigh = 0;  ///< largest p'Ap / p'p of the search directions: a lower bound of A's largest eigenvalue
};

template <class T>
class ModelCg {
 public:
  explicit ModelCg(const ModelCgOptions& options) : o_(options) {}

  /// (4 + kept) vectors of n numbers, a fifth with a preconditioner, and number_bytes().
  void make_room(Context& context, Index n, bool preconditioned);

  /// From x = start, device, or 0 where it is null. `inverse` approximates (A + delta I)^-1, positive definite; may be
  /// null. With a finite radius |x| <= radius in the norm of `inverse`'s inverse, start must be null, nothing is kept,
  /// and where p'(A + delta I)p <= 0 or the next iterate lies outside, x is where the line along p leaves the region.
  /// Otherwise negative curvature, or a minimum along p beyond the range of T, leaves the iterate before it.
  ModelCgResult minimize(LinearOperator<T>& a, double delta, const T* g, LinearOperator<T>* inverse, const T* start,
                         double radius = std::numeric_limits<double>::infinity());

  Index number_bytes() const;
  /// When the host looks depends on the solve before, and so does what is queued in vain.
  void visit_state(StateVisitor& state) { state("expected", expected_); }
  /// Of the coming solves.
  void set_tolerance(double tolerance) { o_.tolerance = tolerance; }
  /// Gives the search directions and their products to `pairs`, which it keeps a reference to. A solve that ends leaves
  /// them there.
  void collect(LbfgsInverse<T>& pairs) { pairs_ = &pairs; }
  const T* x() const { return x_.data(); }
  /// ax = A x = -(r + g + delta x) from the last solve, whose gradient is unchanged: without a product.
  void product(T* ax);
  /// The kept iterates from the last to the first; null when there are no more.
  const T* earlier();

 private:
  void begin(LinearOperator<T>& a, double delta, const T* g, const T* start);
  void iterate(LinearOperator<T>& a, double delta, LinearOperator<T>* inverse);
  const T* preconditioned(LinearOperator<T>* inverse);
  void advance(bool damped);
  void turn(const T* z);
  void residual_dots(const T* z);
  void keep(Index iteration);
  bool ended(Span<const double> seen);
  void dot(const T* x, const T* y, double* result);
  void combine(Index i, const T* x, Index j, T* y);
  enum class Part : std::uintptr_t { damped, plain, turn, preconditioned_turn };
  template <class Launch>
  void recorded(Part part, const Launch& launch);
  ModelCgState* state() { return reinterpret_cast<ModelCgState*>(numbers_.data()); }
  double* history() { return numbers_.data() + kStateNumbers; }
  static constexpr Index kStateNumbers = sizeof(ModelCgState) / sizeof(double);

  ModelCgOptions o_;
  Ops<T>* ops_ = nullptr;
  Index n_ = 0;
  Buffer<T> x_, r_, z_, kept_, factors_;
  Buffer<T> pair_;  ///< p, and A p at ap_
  T* ap_ = nullptr;
  Buffer<double> numbers_;  ///< the state, and behind it the last values of the model
  std::unique_ptr<Recorded> recorded_;
  std::unique_ptr<LateLook> look_;
  std::vector<Index> kept_at_;  ///< the iterations that are kept, in rows 0, 1, ... of kept_, a ring
  Index next_kept_ = 1, handed_out_ = 0;
  Index expected_ = 0;  ///< iterations of the last solve
  Index moves_ = 0;     ///< the last of them that moved x
  LbfgsInverse<T>* pairs_ = nullptr;
  const T* g_ = nullptr;  ///< of the last solve
  double delta_ = 0;
  ModelCgResult result_;
};

}  // namespace hso::detail
