// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "linalg/krylov_solver.hpp"

namespace hso {

using namespace detail;

namespace {

/// The Lanczos recurrence on b, with the tridiagonal matrix brought to triangular form by rotations as it grows.
template <class T>
class MinimalResiduals : KrylovSolver<T> {
 public:
  MinimalResiduals(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& o)
      : KrylovSolver<T>(a, b, x, o, 7),
        v_(this->take()),
        v_old_(this->take()),
        p_(this->take()),
        w_(this->take()),
        w_old_(this->take()),
        alpha_(this->take_numbers()),
        pp_(this->take_numbers()),
        state_(this->scratch_.template take<MinresLane>(k_)) {}

  KrylovResult run() {
    start();
    const Index most = o_.max_iterations > 0 ? o_.max_iterations : std::max<Index>(100, 5 * n_);
    this->iterate(most, [this] { step(); });
    return this->finish(p_);
  }

 private:
  static constexpr double kNegligible = 10 * static_cast<double>(std::numeric_limits<T>::epsilon());
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

  void start() {
    this->start_from(p_);
    for (View<T>* view : {&v_old_, &w_, &w_old_}) this->ops_.for_each(k_, n_, Fill<T>{view->data, n_, T(0)});
    dots(p_, p_, rr_);
    this->each_lane(MinresStart<T>{lanes_, o_.tolerance, rr_, state_, factors_, k_});
    combine(factor(0), View<const T>(p_), factor(1), v_);
  }

  /// The vectors' places swap with every step, and so there are two sequences.
  void step() {
    this->product(View<const T>(v_), p_);
    this->recorded(reinterpret_cast<std::uintptr_t>(v_.data), [this] { advance(); });
    std::swap(w_, w_old_);
    std::swap(v_, v_old_);
  }
  void advance() {
    dots(v_, p_, alpha_);
    this->each_lane(MinresSubtract<T>{lanes_, alpha_, state_, factors_, k_});
    combine(factor(0), View<const T>(v_), factor(1), p_);
    combine(factor(2), View<const T>(v_old_), factor(3), p_);
    dots(p_, p_, pp_);
    this->each_lane(MinresRotate<T>{lanes_, o_.tolerance, kNegligible, alpha_, pp_, state_, factors_, k_});
    combine(factor(0), View<const T>(v_), factor(1), w_old_);
    combine(factor(2), View<const T>(w_), factor(3), w_old_);
    combine(factor(4), View<const T>(w_old_), factor(3), x_);
    combine(factor(5), View<const T>(p_), factor(6), v_old_);
  }

  View<T> v_, v_old_, p_, w_, w_old_;
  double *alpha_, *pp_;
  MinresLane* state_;
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
