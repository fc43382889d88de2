// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/solvers.hpp"
#include "linalg/krylov_solver.hpp"

namespace hso {

using namespace detail;

namespace {

template <class T>
class ConjugateGradients : KrylovSolver<T> {
 public:
  ConjugateGradients(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& o)
      : KrylovSolver<T>(a, b, x, o),
        r_(this->take()),
        p_(this->take()),
        ap_(this->take()),
        z_(o.preconditioner != nullptr ? this->take() : r_) {}

  KrylovResult run() {
    start();
    Numbers rz = lanes_.dots(r_, z_);
    const Index most = o_.max_iterations > 0 ? o_.max_iterations : std::max<Index>(100, 2 * n_);
    for (Index iteration = 0; iteration < most && this->any_running(); ++iteration) step(rz);
    return this->finish(r_);
  }

 private:
  using KrylovSolver<T>::lanes_;
  using KrylovSolver<T>::n_;
  using KrylovSolver<T>::norm_b_;
  using KrylovSolver<T>::o_;
  using KrylovSolver<T>::result_;
  using KrylovSolver<T>::running_;
  using KrylovSolver<T>::x_;
  using KrylovSolver<T>::stop;

  void precondition() {
    if (o_.preconditioner != nullptr) o_.preconditioner->apply(View<const T>(r_), z_);
  }

  void start() {
    this->start_from(r_);
    precondition();
    lanes_.combine(this->each(1), View<const T>(z_), this->each(0), p_);
    for (std::size_t k = 0; k < running_.size(); ++k)
      if (!std::isfinite(norm_b_[k])) stop(k, KrylovStatus::not_finite);
    stop_converged(lanes_.dots(r_, r_));
  }

  void stop_converged(const Numbers& rr) {
    for (std::size_t k = 0; k < running_.size(); ++k)
      if (running_[k] != 0 && std::sqrt(rr[k]) <= o_.tolerance * norm_b_[k]) stop(k, KrylovStatus::converged);
  }

  void step(Numbers& rz) {
    this->product(View<const T>(p_), ap_);
    const Numbers curvature = lanes_.dots(p_, ap_);
    Numbers alpha = this->each(0);
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
    lanes_.combine(alpha, View<const T>(p_), this->each(1), x_);
    lanes_.combine(minus, View<const T>(ap_), this->each(1), r_);
    stop_converged(lanes_.dots(r_, r_));
    precondition();
    const Numbers next = lanes_.dots(r_, z_);
    Numbers beta = this->each(0);
    for (std::size_t k = 0; k < running_.size(); ++k)
      if (running_[k] != 0) beta[k] = next[k] / rz[k];
    lanes_.combine(this->each(1), View<const T>(z_), beta, p_);
    rz = next;
  }

  View<T> r_, p_, ap_, z_;
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
