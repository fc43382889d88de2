// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/error.hpp"
#include "linalg/lanes.hpp"

namespace hso {

using namespace detail;

namespace {

/// The Lanczos recurrence on b, with the tridiagonal matrix brought to triangular form by rotations as it grows.
template <class T>
class MinimalResiduals {
 public:
  MinimalResiduals(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& o)
      : a_(a),
        b_(b),
        x_(x),
        o_(o),
        n_(a.dimension()),
        k_(b.lanes),
        ops_(a.context().template ops<T>()),
        scratch_(a.context()),
        lanes_(ops_, scratch_, k_, n_),
        v_(take()),
        v_old_(take()),
        p_(take()),
        w_(take()),
        w_old_(take()),
        state_(static_cast<std::size_t>(k_)) {}

  KrylovResult run() {
    result_.lanes.resize(state_.size());
    start();
    const Index most = o_.max_iterations > 0 ? o_.max_iterations : std::max<Index>(100, 5 * n_);
    for (Index iteration = 0; iteration < most && any_running(); ++iteration) step();
    for (std::size_t k = 0; k < state_.size(); ++k)
      if (state_[k].running) stop(k, KrylovStatus::max_iterations);
    measure();
    return std::move(result_);
  }

 private:
  static constexpr double kNegligible = 10 * static_cast<double>(std::numeric_limits<T>::epsilon());
  struct Lane {
    bool running = true;
    double b = 0, beta = 0, eta = 0;  ///< |b|, the last coefficient, the signed residual norm
    double c = 1, s = 0, c_old = 1, s_old = 0;
    double size = 0;  ///< the largest entry of the tridiagonal matrix so far: a lower bound of |A|
  };

  View<T> take() { return vector_view(scratch_.take<T>(k_ * n_), n_, k_); }
  bool any_running() const {
    return std::any_of(state_.begin(), state_.end(), [](const Lane& l) { return l.running; });
  }
  Numbers each(double value) const { return Numbers(state_.size(), value); }
  void stop(std::size_t k, KrylovStatus status) {
    state_[k].running = false;
    result_.lanes[k].status = status;
  }
  void product(const View<T>& v, const View<T>& av) {
    a_.apply(View<const T>(v), av);
    ++result_.products;
  }

  void start() {
    const Numbers bb = lanes_.dots(b_, b_);
    for (std::size_t k = 0; k < state_.size(); ++k) state_[k].b = std::sqrt(bb[k]);
    if (o_.start_from_x) {
      Numbers keep = each(1);
      for (std::size_t k = 0; k < keep.size(); ++k) keep[k] = state_[k].b > 0 ? 1 : 0;  // b = 0: x = 0
      lanes_.combine(each(0), View<const T>(x_), keep, x_);
      product(x_, p_);
      lanes_.combine(each(1), b_, each(-1), p_);
    } else {
      ops_.for_each(k_, n_, Fill<T>{x_.data, x_.lane_stride, T(0)});
      lanes_.combine(each(1), b_, each(0), p_);
    }
    for (View<T>* view : {&v_old_, &w_, &w_old_}) ops_.for_each(k_, n_, Fill<T>{view->data, n_, T(0)});
    const Numbers rr = lanes_.dots(p_, p_);
    Numbers scale = each(0);
    for (std::size_t k = 0; k < state_.size(); ++k) {
      state_[k].eta = std::sqrt(rr[k]);
      if (!std::isfinite(rr[k]))
        stop(k, KrylovStatus::not_finite);
      else if (state_[k].eta <= o_.tolerance * state_[k].b)
        stop(k, KrylovStatus::converged);
      else
        scale[k] = 1 / state_[k].eta;
    }
    lanes_.combine(scale, View<const T>(p_), each(0), v_);
  }

  void step() {
    product(v_, p_);
    const Numbers alpha = lanes_.dots(v_, p_);
    Numbers minus_alpha = each(0), minus_beta = each(0), keep = each(0);
    for (std::size_t k = 0; k < state_.size(); ++k) {
      if (!state_[k].running) continue;
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
      if (!l.running) continue;
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
      if (std::abs(l.eta) <= o_.tolerance * l.b) stop(k, KrylovStatus::converged);
    }
    lanes_.combine(of_v, View<const T>(v_), of_older, w_old_);
    lanes_.combine(of_w, View<const T>(w_), each(1), w_old_);
    std::swap(w_, w_old_);
    lanes_.combine(of_x, View<const T>(w_), each(1), x_);
    lanes_.combine(next, View<const T>(p_), each(0), v_old_);
    std::swap(v_, v_old_);
  }

  /// The true residuals. Rounding in the recurrence may have promised too much.
  void measure() {
    product(x_, p_);
    lanes_.combine(each(1), b_, each(-1), p_);
    const Numbers rr = lanes_.dots(p_, p_);
    for (std::size_t k = 0; k < state_.size(); ++k) {
      KrylovLane& lane = result_.lanes[k];
      lane.residual = state_[k].b > 0 ? std::sqrt(rr[k]) / state_[k].b : std::sqrt(rr[k]);
      if (lane.status == KrylovStatus::converged && !(lane.residual <= 2 * o_.tolerance))
        lane.status = KrylovStatus::stalled;
    }
  }

  LinearOperator<T>& a_;
  View<const T> b_;
  View<T> x_;
  const KrylovOptions<T>& o_;
  Index n_, k_;
  Ops<T>& ops_;
  Scratch scratch_;
  Lanes<T> lanes_;
  View<T> v_, v_old_, p_, w_, w_old_;
  std::vector<Lane> state_;
  KrylovResult result_;
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
