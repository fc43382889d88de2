// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/solvers.hpp"
#include "linalg/lanes.hpp"

namespace hso {

using namespace detail;

namespace {

template <class T>
class ConjugateGradients {
 public:
  ConjugateGradients(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& o)
      : a_(a),
        b_(b),
        x_(x),
        o_(o),
        n_(a.dimension()),
        k_(b.lanes),
        ops_(a.context().template ops<T>()),
        scratch_(a.context()),
        lanes_(ops_, scratch_, k_, n_),
        r_(take()),
        p_(take()),
        ap_(take()),
        z_(o.preconditioner != nullptr ? take() : r_),
        running_(static_cast<std::size_t>(k_), 1) {}

  KrylovResult run() {
    result_.lanes.resize(static_cast<std::size_t>(k_));
    start();
    Numbers rz = lanes_.dots(r_, z_);
    const Index most = o_.max_iterations > 0 ? o_.max_iterations : std::max<Index>(100, 2 * n_);
    for (Index iteration = 0; iteration < most && any_running(); ++iteration) step(rz);
    for (std::size_t k = 0; k < running_.size(); ++k)
      if (running_[k] != 0) result_.lanes[k].status = KrylovStatus::max_iterations;
    measure();
    return std::move(result_);
  }

 private:
  View<T> take() { return vector_view(scratch_.take<T>(k_ * n_), n_, k_); }
  bool any_running() const { return std::find(running_.begin(), running_.end(), 1) != running_.end(); }
  Numbers ones() const { return Numbers(running_.size(), 1); }
  Numbers zeros() const { return Numbers(running_.size(), 0); }

  void stop(std::size_t k, KrylovStatus status) {
    running_[k] = 0;
    result_.lanes[k].status = status;
  }

  /// r = b - A x
  void residual() {
    product(View<const T>(x_), r_);
    lanes_.combine(ones(), b_, Numbers(running_.size(), -1), r_);
  }
  void product(View<const T> v, View<T> av) {
    a_.apply(v, av);
    ++result_.products;
  }
  void precondition() {
    if (o_.preconditioner != nullptr) o_.preconditioner->apply(View<const T>(r_), z_);
  }

  void start() {
    const Numbers bb = lanes_.dots(b_, b_);
    for (double value : bb) norm_b_.push_back(std::sqrt(value));
    if (o_.start_from_x) {
      Numbers keep = ones();
      for (std::size_t k = 0; k < keep.size(); ++k) keep[k] = norm_b_[k] > 0 ? 1 : 0;  // b = 0: x = 0
      lanes_.combine(zeros(), View<const T>(x_), keep, x_);
      residual();
    } else {
      ops_.for_each(k_, n_, Fill<T>{x_.data, x_.lane_stride, T(0)});
      lanes_.combine(ones(), b_, zeros(), r_);
    }
    precondition();
    lanes_.combine(ones(), View<const T>(z_), zeros(), p_);
    for (std::size_t k = 0; k < running_.size(); ++k)
      if (!std::isfinite(norm_b_[k])) stop(k, KrylovStatus::not_finite);
    stop_converged(lanes_.dots(r_, r_));
  }

  void stop_converged(const Numbers& rr) {
    for (std::size_t k = 0; k < running_.size(); ++k)
      if (running_[k] != 0 && std::sqrt(rr[k]) <= o_.tolerance * norm_b_[k]) stop(k, KrylovStatus::converged);
  }

  void step(Numbers& rz) {
    product(View<const T>(p_), ap_);
    const Numbers curvature = lanes_.dots(p_, ap_);
    Numbers alpha = zeros();
    for (std::size_t k = 0; k < running_.size(); ++k) {
      if (running_[k] == 0) continue;
      if (!std::isfinite(curvature[k]))
        stop(k, KrylovStatus::not_finite);
      else if (curvature[k] <= 0)
        stop(k, KrylovStatus::negative_curvature);
      else
        alpha[k] = rz[k] / curvature[k];
      if (!std::isfinite(static_cast<T>(alpha[k]))) {
        alpha[k] = 0;
        stop(k, KrylovStatus::not_finite);
      }
      result_.lanes[k].iterations += running_[k];
    }
    Numbers minus = alpha;
    for (double& value : minus) value = -value;
    lanes_.combine(alpha, View<const T>(p_), ones(), x_);
    lanes_.combine(minus, View<const T>(ap_), ones(), r_);
    stop_converged(lanes_.dots(r_, r_));
    precondition();
    const Numbers next = lanes_.dots(r_, z_);
    Numbers beta = zeros();
    for (std::size_t k = 0; k < running_.size(); ++k)
      if (running_[k] != 0) beta[k] = next[k] / rz[k];
    lanes_.combine(ones(), View<const T>(z_), beta, p_);
    rz = next;
  }

  /// The true residuals. Rounding in the recurrence may have promised too much.
  void measure() {
    residual();
    const Numbers rr = lanes_.dots(r_, r_);
    for (std::size_t k = 0; k < running_.size(); ++k) {
      KrylovLane& lane = result_.lanes[k];
      lane.residual = norm_b_[k] > 0 ? std::sqrt(rr[k]) / norm_b_[k] : std::sqrt(rr[k]);
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
  View<T> r_, p_, ap_, z_;
  std::vector<int> running_;
  Numbers norm_b_;
  KrylovResult result_;
};

}  // namespace

template <class T>
KrylovResult cg(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& options) {
  require_system("cg", a, b, x, options);
  if (a.dimension() == 0) return {std::vector<KrylovLane>(static_cast<std::size_t>(b.lanes)), 0};
  return ConjugateGradients<T>(a, b, x, options).run();
}

template KrylovResult cg(LinearOperator<float>&, View<const float>, View<float>, const KrylovOptions<float>&);
template KrylovResult cg(LinearOperator<double>&, View<const double>, View<double>, const KrylovOptions<double>&);

}  // namespace hso
