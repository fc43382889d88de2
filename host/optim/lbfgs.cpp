// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/quasi_newton.hpp"
#include "optim/trial_step.hpp"

namespace hso {
namespace detail {
namespace {

/// The last pairs s, y in a ring with one free place, and H v of the inverse they make.
template <class T>
class Pairs {
 public:
  void make_room(Context& context, Index memory, Index n) {
    ops_ = &context.ops<T>();
    n_ = n;
    for (Buffer<T>* b : {&s_, &y_}) *b = Buffer<T>(context, checked_multiply(memory + 1, n));
    curvature_.assign(static_cast<std::size_t>(memory + 1), 0);
    coefficients_ = curvature_;
    clear();
  }
  void clear() { count_ = next_ = 0; }
  Index count() const { return count_; }
  /// The free place, where the next pair is written before it is kept.
  T* next_s() { return s_.data() + next_ * n_; }
  T* next_y() { return y_.data() + next_ * n_; }

  /// False when s'y is not positive enough: the pair is left out.
  bool keep() {
    const double sy = ops_->dot(n_, next_s(), next_y()), yy = ops_->dot(n_, next_y(), next_y());
    const double ss = ops_->dot(n_, next_s(), next_s());
    if (!std::isfinite(sy / yy) || !(sy > 1e-10 * std::sqrt(ss * yy))) return false;
    const Index places = static_cast<Index>(curvature_.size());
    curvature_[static_cast<std::size_t>(next_)] = sy;
    scale_ = sy / yy;
    next_ = (next_ + 1) % places;
    count_ = std::min(count_ + 1, places - 1);
    return true;
  }

  /// v := H v by the two-loop recursion.
  void apply(T* v) {
    std::vector<double>& a = coefficients_;
    for (Index k = 1; k <= count_; ++k) {
      const Index i = at(k);
      a[static_cast<std::size_t>(i)] = ops_->dot(n_, s_.data() + i * n_, v) / curvature(i);
      ops_->axpby(n_, static_cast<T>(-a[static_cast<std::size_t>(i)]), y_.data() + i * n_, T(1), v);
    }
    ops_->axpby(n_, T(0), v, static_cast<T>(scale_), v);
    for (Index k = count_; k >= 1; --k) {
      const Index i = at(k);
      const double b = ops_->dot(n_, y_.data() + i * n_, v) / curvature(i);
      ops_->axpby(n_, static_cast<T>(a[static_cast<std::size_t>(i)] - b), s_.data() + i * n_, T(1), v);
    }
  }

 private:
  /// The k-th newest, from 1.
  Index at(Index k) const {
    const Index places = static_cast<Index>(curvature_.size());
    return (next_ - k + places) % places;
  }
  double curvature(Index i) const { return curvature_[static_cast<std::size_t>(i)]; }

  Ops<T>* ops_ = nullptr;
  Index n_ = 0, count_ = 0, next_ = 0;
  Buffer<T> s_, y_;                               ///< [memory + 1][n]
  std::vector<double> curvature_, coefficients_;  ///< s'y
  double scale_ = 1;
};

template <class T>
class Lbfgs final : public TrialStep<T> {
 public:
  explicit Lbfgs(const LbfgsOptions& o) : TrialStep<T>("lbfgs"), o_(o) {
    require_option(o.memory >= 1, "lbfgs", "memory", o.memory, "at least 1");
    require_option(o.decrease > 0 && o.decrease < 0.5, "lbfgs", "decrease", o.decrease, "in (0, 0.5)");
    require_option(o.curvature > o.decrease && o.curvature < 1, "lbfgs", "curvature", o.curvature,
                   "above decrease and below 1");
    require_option(o.iterations >= 1, "lbfgs", "iterations", o.iterations, "at least 1");
    require_option(o.max_trials >= 1, "lbfgs", "max_trials", o.max_trials, "at least 1");
  }

 private:
  Index vectors() const override { return 2 * Index{o_.memory} + 3; }
  using TrialStep<T>::n;
  using TrialStep<T>::ops;
  using TrialStep<T>::gradient;
  using TrialStep<T>::direction;

  void start(Objective<T>& objective) override {
    pairs_.make_room(objective.context(), o_.memory, objective.dimension());
    trial_gradient_ = Buffer<T>(objective.context(), objective.dimension());
  }

  std::string advance(Objective<T>& objective, T* theta, StepReport& report) override {
    double value = report.loss_before;
    LineSearchResult last;
    for (int i = 0; i < o_.iterations; ++i) {
      last = search(objective, theta, value, report);
      if (!(last.point.t > 0)) {
        if (i > 0) break;
        return fmt::format("the line search: {} after {} trials", name_of(last.status), report.trials);
      }
      value = last.point.value;
      take(theta, last, report);
      if (ops().nrm2(n(), gradient()) == 0) break;
    }
    report.loss_after = value;
    report.metrics.emplace_back("line_search", std::string(name_of(last.status)));
    report.metrics.emplace_back("length", last.point.t);
    report.metrics.emplace_back("pairs", std::int64_t{pairs_.count()});
    if (last.status == LineSearchStatus::unbounded)
      report.message =
          fmt::format("lbfgs: the loss {:.9g} still falls as steeply after {:.3g} of the step", value, last.point.t);
    return {};
  }

  /// Along H g, and once more along g when that leads nowhere.
  LineSearchResult search(Objective<T>& objective, const T* theta, double value, StepReport& report) {
    LineSearchResult result;
    if (pairs_.count() > 0) result = search_along(objective, theta, value, report);
    if (result.point.t > 0) return result;
    pairs_.clear();
    return search_along(objective, theta, value, report);
  }

  LineSearchResult search_along(Objective<T>& objective, const T* theta, double value, StepReport& report) {
    ops().axpby(n(), T(-1), gradient(), T(0), direction());
    LineSearchOptions o{o_.decrease, o_.curvature};
    o.noise = this->rounding_of(value);
    o.evaluations = o_.max_trials;
    if (pairs_.count() > 0)
      pairs_.apply(direction());
    else
      o.first = std::min(1.0, 1 / ops().nrm2(n(), gradient()));
    const double slope = ops().dot(n(), gradient(), direction());
    if (!std::isfinite(slope) || !(slope < 0)) return {};
    const LineSearchResult result =
        strong_wolfe([&](double t) { return point_at(objective, theta, t, report); }, {0, value, slope}, o);
    if (result.point.t > 0 && result.point.t != last_t_) point_at(objective, theta, result.point.t, report);
    return result;
  }

  LinePoint point_at(Objective<T>& objective, const T* theta, double t, StepReport& report) {
    last_t_ = t;
    ++report.trials;
    ++report.gradients;
    const double value = objective.gradient(this->trial_at(theta, t), trial_gradient_.data());
    return {t, value, ops().dot(n(), trial_gradient_.data(), direction())};
  }

  void take(T* theta, const LineSearchResult& found, StepReport& report) {
    T *s = pairs_.next_s(), *y = pairs_.next_y();
    ops().axpby(n(), static_cast<T>(found.point.t), direction(), T(0), s);
    ops().copy(n(), trial_gradient_.data(), y);
    ops().axpby(n(), T(-1), gradient(), T(1), y);
    report.step_norm = ops().nrm2(n(), s);
    ops().copy(n(), this->trial(), theta);
    ops().copy(n(), trial_gradient_.data(), gradient());
    pairs_.keep();
  }

  LbfgsOptions o_;
  Pairs<T> pairs_;
  Buffer<T> trial_gradient_;
  double last_t_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_lbfgs(const LbfgsOptions& options) {
  return std::make_unique<detail::Lbfgs<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_lbfgs(const LbfgsOptions&);
template std::unique_ptr<Optimizer<double>> make_lbfgs(const LbfgsOptions&);

}  // namespace hso
