// SPDX-License-Identifier: Apache-2.0
//
// What solvers with many right-hand sides share: arithmetic on all lanes at once, where they start, how they end.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/solvers.hpp"

namespace hso::detail {

using Numbers = std::vector<double>;

/// K vectors of n numbers in scratch, and the arithmetic of a step on all of them.
template <class T>
class Lanes {
 public:
  Lanes(Ops<T>& ops, Scratch& scratch, Index k, Index n) : ops_(ops), k_(k), n_(n) {
    factors_ = scratch.take<T>(2 * k);
  }
  Numbers dots(View<const T> x, View<const T> y) {
    Numbers out(static_cast<std::size_t>(k_));
    ops_.dots(k_, n_, x.data, x.lane_stride, y.data, y.lane_stride, out.data());
    return out;
  }
  /// y_k = a_k x_k + b_k y_k
  void combine(const Numbers& a, View<const T> x, const Numbers& b, View<T> y) {
    std::vector<T> host(a.begin(), a.end());
    host.insert(host.end(), b.begin(), b.end());
    ops_.context().to_device(host.data(), factors_, static_cast<Index>(host.size() * sizeof(T)));
    ops_.for_each(k_, n_, LaneAxpby<T>{factors_, x.data, x.lane_stride, factors_ + k_, y.data, y.lane_stride});
  }

 private:
  Ops<T>& ops_;
  Index k_, n_;
  T* factors_;
};

/// The system, its lanes that still run, and the true residuals at both ends.
template <class T>
class KrylovSolver {
 protected:
  KrylovSolver(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& o)
      : a_(a),
        b_(b),
        x_(x),
        o_(o),
        n_(a.dimension()),
        k_(b.lanes),
        ops_(a.context().template ops<T>()),
        scratch_(a.context()),
        lanes_(ops_, scratch_, k_, n_),
        running_(static_cast<std::size_t>(k_), 1) {
    result_.lanes.resize(running_.size());
  }

  View<T> take() { return vector_view(scratch_.take<T>(k_ * n_), n_, k_); }
  Numbers each(double value) const { return Numbers(running_.size(), value); }
  bool any_running() const { return std::find(running_.begin(), running_.end(), 1) != running_.end(); }
  void stop(std::size_t k, KrylovStatus status) {
    running_[k] = 0;
    result_.lanes[k].status = status;
  }
  void product(View<const T> v, View<T> av) {
    a_.apply(v, av);
    ++result_.products;
  }

  /// |b| of every lane, x as it is started from, and r = b - A x.
  void start_from(View<T> r) {
    for (double value : lanes_.dots(b_, b_)) norm_b_.push_back(std::sqrt(value));
    if (o_.start_from_x) {
      Numbers keep = each(1);
      for (std::size_t k = 0; k < keep.size(); ++k) keep[k] = norm_b_[k] > 0 ? 1 : 0;  // b = 0: x = 0
      lanes_.combine(each(0), View<const T>(x_), keep, x_);
      residual(r);
    } else {
      ops_.for_each(k_, n_, Fill<T>{x_.data, x_.lane_stride, T(0)});
      lanes_.combine(each(1), b_, each(0), r);
    }
  }

  /// Lanes that still run have spent their iterations. The true residuals, with r for room: rounding in a recurrence
  /// may have promised too much.
  KrylovResult finish(View<T> r) {
    for (std::size_t k = 0; k < running_.size(); ++k)
      if (running_[k] != 0) stop(k, KrylovStatus::max_iterations);
    residual(r);
    const Numbers rr = lanes_.dots(r, r);
    for (std::size_t k = 0; k < running_.size(); ++k) {
      KrylovLane& lane = result_.lanes[k];
      lane.residual = norm_b_[k] > 0 ? std::sqrt(rr[k]) / norm_b_[k] : std::sqrt(rr[k]);
      if (lane.status == KrylovStatus::converged && !(lane.residual <= 2 * o_.tolerance))
        lane.status = KrylovStatus::stalled;
    }
    return std::move(result_);
  }

  LinearOperator<T>& a_;
  View<const T> b_;
  View<T> x_;
  const KrylovOptions<T>& o_;
  Index n_, k_;
  Ops<T>& ops_;
  Scratch scratch_;
  Lanes<T> lanes_;
  std::vector<int> running_;
  Numbers norm_b_;
  KrylovResult result_;

 private:
  void residual(View<T> r) {
    product(View<const T>(x_), r);
    lanes_.combine(each(1), b_, each(-1), r);
  }
};

/// InputError and UsageError, starting with `what`, for shapes that do not fit and a tolerance that is not positive.
template <class T>
void require_system(const char* what, const LinearOperator<T>& a, const View<const T>& b, const View<T>& x,
                    const KrylovOptions<T>& options);

}  // namespace hso::detail
