// SPDX-License-Identifier: Apache-2.0
#include "optim/quasi_newton/truncated_cg.hpp"

#include <cmath>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "linalg/late_look.hpp"

namespace hso::detail {

const char* name_of(TruncatedCgEnd end) {
  static const char* const kNames[] = {"converged", "iterations", "negative_curvature", "boundary", "not_finite"};
  return kNames[static_cast<int>(end)];
}

namespace {

template <class T>
class TruncatedCg {
 public:
  TruncatedCg(LinearOperator<T>& a, const T* g, T* s, const TruncatedCgOptions& o)
      : a_(a),
        g_(g),
        s_(s),
        o_(o),
        n_(a.dimension()),
        ops_(a.context().template ops<T>()),
        scratch_(a.context()),
        r_(scratch_.take<T>(n_)),
        p_(scratch_.take<T>(n_)),
        ap_(scratch_.take<T>(n_)),
        factors_(scratch_.take<T>(3)),
        state_(scratch_.take<TruncatedCgState>(1)),
        look_(a.context(), reinterpret_cast<const double*>(state_), sizeof(TruncatedCgState) / sizeof(double)),
        recorded_(a.context().make_recorded()) {}

  TruncatedCgResult run() {
    start();
    iterate();
    dot(g_, s_, &state_->gs);
    dot(r_, s_, &state_->rs);
    dot(s_, s_, &state_->ss);
    return result();
  }

 private:
  void start() {
    ops_.fill(n_, T(0), s_);
    ops_.copy(n_, g_, r_);
    ops_.axpby(n_, T(-1), g_, T(0), p_);
    dot(r_, r_, &state_->rr);
    ops_.for_each(1, 1, TruncatedCgStart<T>{o_.tolerance, state_});
  }

  void iterate() {
    if (o_.expected > 0) look_.start(o_.expected, 0.25);
    if (!look_.late() && ended(look_.now())) return;
    const std::uintptr_t key = 0;  // all addresses are this solve's own
    for (Index i = 1; i <= o_.iterations; ++i) {
      a_.apply(vector_view<const T>(p_, n_), vector_view(ap_, n_));
      recorded_->run({&key, 1}, [this] { advance(); });
      if (ended(look_.after(i))) return;
    }
  }
  static bool ended(Span<const double> seen) {
    return !seen.empty() && reinterpret_cast<const TruncatedCgState*>(seen.data())->stop != kRunning;
  }

  void advance() {
    dot(p_, ap_, &state_->pAp);
    if (std::isfinite(o_.radius)) {
      dot(p_, p_, &state_->pp);
      dot(s_, p_, &state_->sp);
      dot(s_, s_, &state_->ss);
    }
    ops_.for_each(1, 1, TruncatedCgLength<T>{o_.radius, state_, factors_});
    combine(0, p_, 2, s_);
    combine(1, ap_, 2, r_);
    dot(r_, r_, &state_->next);
    ops_.for_each(1, 1, TruncatedCgTurn<T>{o_.tolerance, state_, factors_});
    combine(0, r_, 1, p_);
  }
  void dot(const T* x, const T* y, double* result) { ops_.dots_on_device(1, n_, x, n_, y, n_, result); }
  /// y = f_i x + f_j y
  void combine(Index i, const T* x, Index j, T* y) {
    ops_.for_each(1, n_, LaneAxpby<T>{factors_ + i, x, n_, factors_ + j, y, n_});
  }

  TruncatedCgResult result() {
    const auto& state = *reinterpret_cast<const TruncatedCgState*>(look_.now().data());
    TruncatedCgResult out;
    if (state.stop != kRunning) out.end = static_cast<TruncatedCgEnd>(static_cast<int>(state.stop));
    out.products = static_cast<Index>(state.products);
    out.slope = state.gs;
    out.norm = std::sqrt(state.ss);
    if (state.steepest == 0) out.model = (state.gs + state.rs) / 2;  // A s = r - g
    return out;
  }

  LinearOperator<T>& a_;
  const T* g_;
  T* s_;
  const TruncatedCgOptions& o_;
  Index n_;
  Ops<T>& ops_;
  Scratch scratch_;
  T *r_, *p_, *ap_, *factors_;
  TruncatedCgState* state_;
  LateLook look_;
  std::unique_ptr<Recorded> recorded_;
};

}  // namespace

template <class T>
TruncatedCgResult truncated_cg(LinearOperator<T>& a, const T* g, T* s, const TruncatedCgOptions& options) {
  return TruncatedCg<T>(a, g, s, options).run();
}

template TruncatedCgResult truncated_cg(LinearOperator<float>&, const float*, float*, const TruncatedCgOptions&);
template TruncatedCgResult truncated_cg(LinearOperator<double>&, const double*, double*, const TruncatedCgOptions&);

}  // namespace hso::detail
