// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/error.hpp"
#include "linalg/krylov_solver.hpp"

namespace hso {

using namespace detail;

namespace {

/// The Lanczos recurrence on b, with the tridiagonal matrix brought to triangular form by rotations as it grows.
template <class T>
class MinimalResiduals : KrylovSolver<T> {
 public:
  MinimalResiduals(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& o)
      : KrylovSolver<T>(a, b, x, o),
        v_(this->take()),
        v_old_(this->take()),
        p_(this->take()),
        w_(this->take()),
        w_old_(this->take()),
        state_(running_.size()) {}

  KrylovResult run() {
    start();
    const Index most = o_.max_iterations > 0 ? o_.max_iterations : std::max<Index>(100, 5 * n_);
    for (Index iteration = 0; iteration < most && this->any_running(); ++iteration) step();
    return this->finish(p_);
  }

 private:
  static constexpr double kNegligible = 10 * static_cast<double>(std::numeric_limits<T>::epsilon());
  using KrylovSolver<T>::lanes_;
  using KrylovSolver<T>::n_;
  using KrylovSolver<T>::norm_b_;
  using KrylovSolver<T>::o_;
  using KrylovSolver<T>::result_;
  using KrylovSolver<T>::running_;
  using KrylovSolver<T>::x_;
  using KrylovSolver<T>::each;
  using KrylovSolver<T>::stop;

  struct Lane {
    double beta = 0, eta = 0;  ///< the last coefficient, the signed residual norm
    double c = 1, s = 0, c_old = 1, s_old = 0;
    double size = 0;  ///< the largest entry of the tridiagonal matrix so far: a lower bound of |A|
  };

  void start() {
    this->start_from(p_);
    for (View<T>* view : {&v_old_, &w_, &w_old_}) this->ops_.for_each(this->k_, n_, Fill<T>{view->data, n_, T(0)});
    const Numbers rr = lanes_.dots(p_, p_);
    Numbers scale = each(0);
    for (std::size_t k = 0; k < state_.size(); ++k) {
      state_[k].eta = std::sqrt(rr[k]);
      if (!std::isfinite(rr[k]))
        stop(k, KrylovStatus::not_finite);
      else if (state_[k].eta <= o_.tolerance * norm_b_[k])
        stop(k, KrylovStatus::converged);
      else
        scale[k] = 1 / state_[k].eta;
    }
    lanes_.combine(scale, View<const T>(p_), each(0), v_);
  }

  void step() {
    this->product(View<const T>(v_), p_);
    const Numbers alpha = lanes_.dots(v_, p_);
    Numbers minus_alpha = each(0), minus_beta = each(0), keep = each(0);
    for (std::size_t k = 0; k < state_.size(); ++k) {
      if (running_[k] == 0) continue;
      result_.lanes[k].iterations += 1;
      if (!std::isfinite(alpha[k])) {
        stop(k, KrylovStatus::not_finite);
        continue;
      }
      minus_alpha[k] = -alpha[k];
      minus_beta[k] = -state_[k].beta;
      keep[k] = 1;
    }
    lanes_.combine(minus_alpha, View<const T>(v_), keep, p_);
    lanes_.combine(minus_beta, View<const T>(v_old_), each(1), p_);
    rotate(alpha, lanes_.dots(p_, p_));
  }

  /// One more column of the triangular factor, one more direction w, one more step of x.
  void rotate(const Numbers& alpha, const Numbers& pp) {
    Numbers of_v = each(0), of_older = each(0), of_w = each(0), of_x = each(0), next = each(0);
    for (std::size_t k = 0; k < state_.size(); ++k) {
      Lane& l = state_[k];
      if (running_[k] == 0) continue;
      const double beta = std::sqrt(pp[k]), delta = l.c * alpha[k] - l.c_old * l.s * l.beta;
      const double rho1 = std::hypot(delta, beta), rho2 = l.s * alpha[k] + l.c_old * l.c * l.beta,
                   rho3 = l.s_old * l.beta;
      l.size = std::max({l.size, std::abs(alpha[k]), beta});
      // A pivot that is rounding: A is singular and what is left of b lies outside its range.
      if (!std::isfinite(beta) || rho1 <= kNegligible * l.size) {
        stop(k, std::isfinite(beta) ? KrylovStatus::stalled : KrylovStatus::not_finite);
        continue;
      }
      l.c_old = l.c;
      l.s_old = l.s;
      l.c = delta / rho1;
      l.s = beta / rho1;
      of_v[k] = 1 / rho1;
      of_older[k] = -rho3 / rho1;
      of_w[k] = -rho2 / rho1;
      of_x[k] = l.c * l.eta;
      next[k] = beta > 0 ? 1 / beta : 0;
      l.eta *= -l.s;
      l.beta = beta;
      if (std::abs(l.eta) <= o_.tolerance * norm_b_[k]) stop(k, KrylovStatus::converged);
    }
    lanes_.combine(of_v, View<const T>(v_), of_older, w_old_);
    lanes_.combine(of_w, View<const T>(w_), each(1), w_old_);
    std::swap(w_, w_old_);
    lanes_.combine(of_x, View<const T>(w_), each(1), x_);
    lanes_.combine(next, View<const T>(p_), each(0), v_old_);
    std::swap(v_, v_old_);
  }

  View<T> v_, v_old_, p_, w_, w_old_;
  std::vector<Lane> state_;
};

}  // namespace

template <class T>
KrylovResult minres(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& options) {
  require_system("minres", a, b, x, options);
  if (options.preconditioner != nullptr) throw UsageError("minres: found a preconditioner, expected none");
  if (a.dimension() == 0) return {std::vector<KrylovLane>(static_cast<std::size_t>(b.lanes)), 0};
  return MinimalResiduals<T>(a, b, x, options).run();
}

template KrylovResult minres(LinearOperator<float>&, View<const float>, View<float>, const KrylovOptions<float>&);
template KrylovResult minres(LinearOperator<double>&, View<const double>, View<double>, const KrylovOptions<double>&);

}  // namespace hso
