// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/arena.hpp"
#include "hsogpu/detail/ops.hpp"
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/operators.hpp"
#include "hsogpu/objective/objective.hpp"
#include "io/choice.hpp"
#include "linalg/fitting.hpp"

namespace hso {

using namespace detail;

const std::vector<std::string>& secant_steps_names() {
  static const std::vector<std::string> names{"axis", "sgd"};
  return names;
}

SecantSteps parse_secant_steps(const std::string& name) {
  return parse_choice<SecantSteps>("secant steps", name, secant_steps_names());
}

template <class T>
SecantOperator<T>::SecantOperator(Objective<T>& objective, const T* theta, const SecantOptions& options)
    : context_(objective.context()), n_(objective.dimension()) {
  if (options.steps == SecantSteps::sgd && (options.count < 1 || !(options.rate > 0)))
    throw UsageError(fmt::format("secant: {} steps of rate {}, expected at least one and a positive rate",
                                 options.count, options.rate));
  if (!(options.step >= 0) || !std::isfinite(options.step) || !(options.cutoff >= 0) || options.cutoff >= 1)
    throw UsageError(fmt::format("secant: step {} and cutoff {}, expected a step of 0 or above and a cutoff in [0, 1)",
                                 options.step, options.cutoff));
  if (options.steps == SecantSteps::axis)
    take_axis_steps(objective, theta, options);
  else
    take_sgd_steps(objective, theta, options);
}

template <class T>
void SecantOperator<T>::take_axis_steps(Objective<T>& objective, const T* theta, const SecantOptions& options) {
  const auto square = [](Index m) { return checked_multiply(checked_multiply(m, m), static_cast<Index>(sizeof(T))); };
  require_memory(context_, "secant: the matrix of axis steps", n_, square);
  auto& ops = context_.template ops<T>();
  const double relative = options.step > 0 ? options.step : std::sqrt(std::numeric_limits<T>::epsilon());
  matrix_ = Buffer<T>(context_, n_ * n_);
  Buffer<T> point(context_, n_), base(context_, n_), g(context_, n_);
  ops.copy(n_, theta, point.data());
  const std::vector<T> start = point.download();
  objective.gradient(theta, base.data());
  for (Index j = 0; j < n_; ++j) {
    const T at = start[static_cast<std::size_t>(j)];
    const T wanted = at + static_cast<T>(relative * (1 + std::abs(static_cast<double>(at))));
    const T moved = wanted > at ? wanted : std::nextafter(at, std::numeric_limits<T>::max());
    const T h = moved - at;  // the step that was taken, after rounding
    ops.fill(1, moved, point.data() + j);
    objective.gradient(point.data(), g.data());  // always the same buffers: one recording serves all columns
    T* row = matrix_.data() + j * n_;
    ops.copy(n_, g.data(), row);
    ops.axpby(n_, T(-1) / h, base.data(), T(1) / h, row);
    ops.fill(1, at, point.data() + j);
  }
  ops.for_each(n_, n_, Symmetrize<T>{matrix_.data(), n_});
}

template <class T>
void SecantOperator<T>::take_sgd_steps(Objective<T>& objective, const T* theta, const SecantOptions& options) {
  auto& ops = context_.template ops<T>();
  pairs_ = options.count;
  changes_ = Buffer<T>(context_, checked_multiply(pairs_, n_));
  reciprocals_ = Buffer<T>(context_, checked_multiply(pairs_, n_));
  Buffer<T> point(context_, n_), g(context_, n_), next(context_, n_), step(context_, n_);
  ops.copy(n_, theta, point.data());
  objective.gradient(point.data(), g.data());
  for (Index t = 0; t < pairs_; ++t) {
    ops.copy(n_, point.data(), step.data());
    ops.axpby(n_, static_cast<T>(-options.rate), g.data(), T(1), point.data());
    ops.axpby(n_, T(1), point.data(), T(-1), step.data());  // what was added, after rounding
    objective.gradient(point.data(), next.data());
    T* change = changes_.data() + t * n_;
    ops.copy(n_, next.data(), change);
    ops.axpby(n_, T(-1), g.data(), T(1), change);
    const T cutoff = static_cast<T>(options.cutoff * ops.max_abs(n_, step.data()));
    ops.for_each(1, n_,
                 Reciprocal<T>{step.data(), reciprocals_.data() + t * n_, cutoff, T(1) / static_cast<T>(pairs_)});
    ops.copy(n_, next.data(), g.data());
  }
}

/// Of SGD steps: sum_t (y_t (r_t'v) + r_t (y_t'v)) / 2.
template <class T>
void SecantOperator<T>::apply(View<const T> v, View<T> hv) {
  require_fitting(*this, v, hv, "SecantOperator");
  if (matrix_.size() > 0) return MatrixOperator<T>(context_, n_, matrix_.data()).apply(v, hv);
  auto& ops = context_.template ops<T>();
  Scratch scratch(context_);
  T* along = scratch.take<T>(2 * pairs_);
  const auto dots_with = [&](const T* rows, const T* x, T* out) {
    ops.gemm({pairs_, 1, n_, rows, n_, false, x, 1, false, out, 1});
  };
  const auto add_rows = [&](const T* rows, const T* c, T beta, T* y) {
    ops.gemm({1, n_, pairs_, c, pairs_, false, rows, n_, false, y, n_, T(0.5), beta});
  };
  for (Index k = 0; k < v.lanes; ++k) {
    dots_with(reciprocals_.data(), v.lane(k), along);
    dots_with(changes_.data(), v.lane(k), along + pairs_);
    add_rows(changes_.data(), along, T(0), hv.lane(k));
    add_rows(reciprocals_.data(), along + pairs_, T(1), hv.lane(k));
  }
}

template <class T>
void SecantOperator<T>::to_dense(T* h) {
  if (matrix_.size() == 0) return LinearOperator<T>::to_dense(h);
  context_.template ops<T>().copy(n_ * n_, matrix_.data(), h);
}

template class SecantOperator<float>;
template class SecantOperator<double>;

}  // namespace hso
