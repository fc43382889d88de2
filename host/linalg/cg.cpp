// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "linalg/krylov_solver.hpp"

namespace hso {

using namespace detail;

namespace {

template <class T>
class ConjugateGradients : KrylovSolver<T> {
 public:
  ConjugateGradients(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& o)
      : KrylovSolver<T>(a, b, x, o, 3),
        r_(this->take()),
        p_(this->take()),
        ap_(this->take()),
        z_(o.preconditioner != nullptr ? this->take() : r_),
        curvature_(this->take_numbers()),
        rz_(this->take_numbers()),
        next_(o.preconditioner != nullptr ? this->take_numbers() : rr_) {}

  KrylovResult run() {
    start();
    const Index most = o_.max_iterations > 0 ? o_.max_iterations : std::max<Index>(100, 2 * n_);
    this->iterate(most, [this] { step(); });
    return this->finish(r_);
  }

 private:
  using KrylovSolver<T>::combine;
  using KrylovSolver<T>::dots;
  using KrylovSolver<T>::factor;
  using KrylovSolver<T>::factors_;
  using KrylovSolver<T>::k_;
  using KrylovSolver<T>::lanes_;
  using KrylovSolver<T>::n_;
  using KrylovSolver<T>::o_;
  using KrylovSolver<T>::rr_;
  using KrylovSolver<T>::x_;

  void precondition() {
    if (o_.preconditioner != nullptr) o_.preconditioner->apply(View<const T>(r_), z_);
  }
  void residual_dots() {
    dots(r_, r_, rr_);
    if (next_ != rr_) dots(r_, z_, next_);
  }

  void start() {
    this->start_from(r_);
    precondition();
    combine(T(1), View<const T>(z_), T(0), p_);
    residual_dots();
    this->each_lane(CgStart<T>{lanes_, o_.tolerance, rr_, next_, rz_});
  }

  void step() {
    this->product(View<const T>(p_), ap_);
    if (o_.preconditioner == nullptr) return this->recorded(kWhole, [this] { advance(), turn(); });
    this->recorded(kAdvance, [this] { advance(); });
    precondition();
    this->recorded(kTurn, [this] { turn(); });
  }
  void advance() {
    dots(p_, ap_, curvature_);
    this->each_lane(CgLength<T>{lanes_, curvature_, rz_, factors_, k_});
    combine(factor(0), View<const T>(p_), factor(2), x_);
    combine(factor(1), View<const T>(ap_), factor(2), r_);
  }
  void turn() {
    residual_dots();
    this->each_lane(CgTurn<T>{lanes_, o_.tolerance, rr_, next_, rz_, factors_, k_});
    combine(factor(0), View<const T>(z_), factor(1), p_);
  }

  enum Part : std::uintptr_t { kWhole, kAdvance, kTurn };
  View<T> r_, p_, ap_, z_;
  double *curvature_, *rz_;
  double* next_;  ///< r'z
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
