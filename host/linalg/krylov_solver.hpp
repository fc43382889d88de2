// SPDX-License-Identifier: Apache-2.0
//
// What solvers with many right-hand sides share: where they start, what an iteration is made of, how they end. Scalars
// stay in device memory (elements/krylov.hpp); the host queues iterations and looks now and then whether one still runs
// (late_look.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/solvers.hpp"
#include "linalg/late_look.hpp"

namespace hso::detail {

template <class T>
class KrylovSolver {
 protected:
  /// `factors`: how many a lane has.
  KrylovSolver(LinearOperator<T>& a, View<const T> b, View<T> x, const KrylovOptions<T>& o, Index factors)
      : a_(a),
        b_(b),
        x_(x),
        o_(o),
        n_(a.dimension()),
        k_(b.lanes),
        ops_(a.context().template ops<T>()),
        scratch_(a.context()),
        numbers_(scratch_.take<double>(kNumbers * k_)),
        lanes_{numbers_, numbers_ + k_, numbers_ + 3 * k_, numbers_ + 2 * k_},
        rr_(numbers_ + 4 * k_),
        factors_(scratch_.take<T>(factors * k_)),
        look_(a.context(), lanes_.status, k_),
        recorded_(a.context().make_recorded()) {}

  View<T> take() { return vector_view(scratch_.take<T>(k_ * n_), n_, k_); }
  double* take_numbers() { return scratch_.take<double>(k_); }
  void product(View<const T> v, View<T> av) { a_.apply(v, av); }

  void dots(View<const T> x, View<const T> y, double* results) {
    ops_.dots_on_device(k_, n_, x.data, x.lane_stride, y.data, y.lane_stride, results);
  }
  /// y_k = a_k x_k + b_k y_k, the factors from device memory.
  void combine(const T* a, View<const T> x, const T* b, View<T> y) {
    ops_.for_each(k_, n_, LaneAxpby<T>{a, x.data, x.lane_stride, b, y.data, y.lane_stride});
  }
  /// y = a x + b y
  void combine(T a, View<const T> x, T b, View<T> y) {
    ops_.for_each(k_, n_, Axpby<T>{a, x.data, x.lane_stride, b, y.data, y.lane_stride});
  }
  void each_lane(const ElementOp<T>& op) { ops_.for_each(k_, 1, op); }
  const T* factor(Index j) const { return factors_ + j * k_; }
  /// The part of an iteration that `key` names; all addresses are this solve's own.
  template <class Launch>
  void recorded(std::uintptr_t key, const Launch& launch) {
    recorded_->run({&key, 1}, launch);
  }

  /// |b| of every lane, x as it is started from, and r = b - A x.
  void start_from(View<T> r) {
    dots(b_, b_, rr_);
    each_lane(KrylovStart<T>{rr_, lanes_, factors_, factors_ + k_});
    if (o_.start_from_x) {
      combine(factor(0), View<const T>(x_), factor(1), x_);
      residual(r);
    } else {
      ops_.for_each(k_, n_, Fill<T>{x_.data, x_.lane_stride, T(0)});
      combine(T(1), b_, T(0), r);
    }
  }

  /// step() until no lane runs, at most `most` times.
  template <class Step>
  void iterate(Index most, const Step& step) {
    if (!look_.late() && !any_running(look_.now())) return;
    for (Index i = 1; i <= most; ++i) {
      step();
      const Span<const double> status = look_.after(i);
      if (!status.empty() && !any_running(status)) return;
    }
  }

  /// What a solve with the lanes' states found. The true residuals, with r for room: rounding in a recurrence may have
  /// promised too much.
  KrylovResult finish(View<T> r) {
    residual(r);
    dots(r, r, rr_);
    std::vector<double> numbers(static_cast<std::size_t>(kNumbers * k_));
    a_.context().to_host(numbers_, numbers.data(), kNumbers * k_ * static_cast<Index>(sizeof(double)));
    const auto number = [&](Index which, Index k) { return numbers[static_cast<std::size_t>(which * k_ + k)]; };
    KrylovResult result;
    for (Index k = 0; k < k_; ++k) {
      result.lanes.push_back(
          lane(number(0, k), static_cast<Index>(number(1, k)), number(3, k), std::sqrt(number(4, k))));
      result.products = std::max(result.products, static_cast<Index>(number(2, k)));
    }
    result.products += o_.start_from_x ? 2 : 1;
    return result;
  }

  LinearOperator<T>& a_;
  View<const T> b_;
  View<T> x_;
  const KrylovOptions<T>& o_;
  Index n_, k_;
  Ops<T>& ops_;
  Scratch scratch_;

 private:
  static constexpr Index kNumbers = 5;
  double* numbers_;  ///< [kNumbers][K] status, iterations, products, |b|, r'r

 protected:
  KrylovLanes lanes_;
  double* rr_;
  T* factors_;

 private:
  LateLook look_;
  std::unique_ptr<Recorded> recorded_;
  static bool any_running(Span<const double> status) {
    return std::find(status.begin(), status.end(), kRunning) != status.end();
  }
  /// Lanes that still run have spent their iterations.
  KrylovLane lane(double status, Index iterations, double norm_b, double residual) const {
    KrylovLane out;
    out.status =
        status == kRunning ? KrylovStatus::max_iterations : static_cast<KrylovStatus>(static_cast<int>(status));
    out.iterations = iterations;
    out.residual = norm_b > 0 ? residual / norm_b : residual;
    if (out.status == KrylovStatus::converged && !(out.residual <= 2 * o_.tolerance))
      out.status = KrylovStatus::stalled;
    return out;
  }
  void residual(View<T> r) {
    product(View<const T>(x_), r);
    combine(T(1), b_, T(-1), r);
  }
};

/// InputError and UsageError, starting with `what`, for shapes that do not fit and a tolerance that is not positive.
template <class T>
void require_system(const char* what, const LinearOperator<T>& a, const View<const T>& b, const View<T>& x,
                    const KrylovOptions<T>& options);

}  // namespace hso::detail
