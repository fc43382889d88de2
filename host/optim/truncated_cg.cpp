// SPDX-License-Identifier: Apache-2.0
#include "optim/truncated_cg.hpp"

#include <cmath>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"

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
        ap_(scratch_.take<T>(n_)) {}

  TruncatedCgResult run() {
    ops_.fill(n_, T(0), s_);
    ops_.copy(n_, g_, r_);
    ops_.axpby(n_, T(-1), g_, T(0), p_);
    rr_ = ops_.dot(n_, r_, r_);
    result_.end = iterate();
    result_.slope = ops_.dot(n_, g_, s_);
    if (!steepest_) result_.model = (result_.slope + ops_.dot(n_, r_, s_)) / 2;  // A s = r - g
    return result_;
  }

 private:
  TruncatedCgEnd iterate() {
    if (!std::isfinite(rr_)) return TruncatedCgEnd::not_finite;
    for (Index i = 0; i < o_.iterations; ++i) {
      if (std::sqrt(rr_) <= o_.tolerance) return TruncatedCgEnd::converged;
      a_.apply(vector_view<const T>(p_, n_), vector_view(ap_, n_));
      ++result_.products;
      const double bend = ops_.dot(n_, p_, ap_);
      if (!std::isfinite(bend)) return TruncatedCgEnd::not_finite;
      if (!(bend > 0)) return along_negative_curvature(i);
      const double alpha = rr_ / bend, limit = to_sphere();
      if (!std::isfinite(static_cast<T>(alpha))) return along_negative_curvature(i);
      if (!(alpha < limit)) {
        advance(limit);
        return TruncatedCgEnd::boundary;
      }
      advance(alpha);
      const double next = ops_.dot(n_, r_, r_);
      if (!std::isfinite(next)) return TruncatedCgEnd::not_finite;
      ops_.axpby(n_, T(-1), r_, static_cast<T>(next / rr_), p_);
      rr_ = next;
    }
    return std::sqrt(rr_) <= o_.tolerance ? TruncatedCgEnd::converged : TruncatedCgEnd::iterations;
  }

  void advance(double length) {
    ops_.axpby(n_, static_cast<T>(length), p_, T(1), s_);
    ops_.axpby(n_, static_cast<T>(length), ap_, T(1), r_);
  }

  TruncatedCgEnd along_negative_curvature(Index iteration) {
    if (std::isfinite(o_.radius)) {
      advance(to_sphere());
    } else if (iteration == 0) {
      ops_.axpby(n_, T(-1), g_, T(0), s_);
      steepest_ = true;
    }
    return TruncatedCgEnd::negative_curvature;
  }

  /// tau >= 0 with |s + tau p| = radius.
  double to_sphere() {
    if (!std::isfinite(o_.radius)) return o_.radius;
    const double pp = ops_.dot(n_, p_, p_), sp = ops_.dot(n_, s_, p_), ss = ops_.dot(n_, s_, s_);
    const double left = std::max(o_.radius * o_.radius - ss, 0.0), root = std::sqrt(sp * sp + pp * left);
    return sp > 0 ? left / (sp + root) : (root - sp) / pp;  // no cancellation either way
  }

  LinearOperator<T>& a_;
  const T* g_;
  T* s_;
  const TruncatedCgOptions& o_;
  Index n_;
  Ops<T>& ops_;
  Scratch scratch_;
  T *r_, *p_, *ap_;
  double rr_ = 0;
  bool steepest_ = false;
  TruncatedCgResult result_;
};

}  // namespace

template <class T>
TruncatedCgResult truncated_cg(LinearOperator<T>& a, const T* g, T* s, const TruncatedCgOptions& options) {
  return TruncatedCg<T>(a, g, s, options).run();
}

template TruncatedCgResult truncated_cg(LinearOperator<float>&, const float*, float*, const TruncatedCgOptions&);
template TruncatedCgResult truncated_cg(LinearOperator<double>&, const double*, double*, const TruncatedCgOptions&);

}  // namespace hso::detail
