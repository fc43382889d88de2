// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/optim/quasi_newton.hpp"
#include "optim/quasi_newton/lbfgs_pairs.hpp"
#include "optim/step/judged_step.hpp"
#include "optim/step/line_search.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Lbfgs final : public JudgedStep<T> {
 public:
  explicit Lbfgs(const LbfgsOptions& o) : JudgedStep<T>("lbfgs"), o_(o) {
    require_option(o.memory >= 1, "lbfgs", "memory", o.memory, "at least 1");
    require_option(o.decrease > 0 && o.decrease < 0.5, "lbfgs", "decrease", o.decrease, "in (0, 0.5)");
    require_option(o.curvature > o.decrease && o.curvature < 1, "lbfgs", "curvature", o.curvature,
                   "above decrease and below 1");
    require_option(o.iterations >= 1, "lbfgs", "iterations", o.iterations, "at least 1");
    require_option(o.max_trials >= 1, "lbfgs", "max_trials", o.max_trials, "at least 1");
  }

 private:
  Index vectors() const override { return 4 * Index{o_.memory} + 6; }
  using JudgedStep<T>::n;
  using JudgedStep<T>::ops;
  using JudgedStep<T>::gradient;
  using JudgedStep<T>::own_step;

  void begin(Objective<T>& objective) override {
    Context& context = objective.context();
    pairs_.make_room(context, o_.memory, objective.dimension());
    trial_gradient_ = Buffer<T>(context, objective.dimension());
    point_ = std::make_unique<QueuedPoint<T>>(context, 1);
    numbers_ = std::make_unique<QueuedNumbers>(context, std::max(pairs_.products(), 1 + pairs_.numbers()));
  }
  void visit_method(StateVisitor& state, Objective<T>*) override { pairs_.visit_state(state); }
  Index numbers() const override { return 1 + pairs_.products(); }

  void evaluate(Step<T>& s) override {
    JudgedStep<T>::evaluate(s);
    if (pairs_.late()) pairs_.queue_products(gradient(), this->point().take(pairs_.products()));
  }

  /// Of the first iteration: `move` chooses the directions, because several share one start.
  std::string propose(Step<T>& s) override {
    norm_ = s.report.gradient_norm;
    s.report.trials = 0;
    if (!pairs_.late()) return {};
    const Span<const double> found = this->point().numbers().subspan(1);
    products_.assign(found.begin(), found.end());
    return {};
  }

  std::string move(Step<T>& s) override {
    StepReport& report = s.report;
    double value = report.loss_before;
    LineSearchResult last;
    for (int i = 0; i < o_.iterations; ++i) {
      last = search(s, value);
      if (!(last.point.t > 0)) {
        if (i > 0) break;
        return fmt::format("the line search: {} after {} trials", name_of(last.status), report.trials);
      }
      value = last.point.value;
      take(s, last);
      if (norm_ == 0) break;
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
  LineSearchResult search(Step<T>& s, double value) {
    LineSearchResult result;
    if (pairs_.count() > 0) result = search_along(s, value);
    if (result.point.t > 0) return result;
    pairs_.clear();
    return search_along(s, value);
  }

  /// direction := -H g
  void choose_own_step() {
    if (pairs_.count() > 0 && pairs_.late()) {
      if (products_.empty()) products_ = products_now();
      return pairs_.combine(products_, gradient(), own_step());
    }
    ops().axpby(n(), T(-1), gradient(), T(0), own_step());
    if (pairs_.count() > 0) pairs_.apply(own_step());
  }
  std::vector<double> products_now() {
    numbers_->start();
    pairs_.queue_products(gradient(), numbers_->take(pairs_.products()));
    numbers_->post();
    return {numbers_->values().begin(), numbers_->values().end()};
  }

  LineSearchResult search_along(Step<T>& s, double value) {
    LineSearchOptions o{o_.decrease, o_.curvature};
    o.noise = this->rounding_of(value);
    o.evaluations = o_.max_trials;
    if (pairs_.count() == 0) o.first = std::min(1.0, 1 / norm_);
    choose_own_step();
    const double slope = ops().dot(n(), gradient(), own_step());
    if (!std::isfinite(slope) || !(slope < 0)) return {};
    const LineSearchResult result = strong_wolfe([&](double t) { return point_at(s, t); }, {0, value, slope}, o);
    if (result.point.t > 0 && result.point.t != last_t_) point_at(s, result.point.t);
    return result;
  }

  LinePoint point_at(Step<T>& s, double t) {
    last_t_ = t;
    ++s.report.trials;
    ++s.report.gradients;
    const T* trial = this->trial_at(s, own_step(), t);
    point_->queue(s.objective, trial, trial_gradient_.data(), {{trial_gradient_.data(), own_step()}});
    point_->post();
    return {t, point_->value(), point_->numbers()[0]};
  }

  void take(Step<T>& s, const LineSearchResult& found) {
    T *step = pairs_.next_s(), *y = pairs_.next_y();
    ops().axpby(n(), static_cast<T>(found.point.t), own_step(), T(0), step);
    ops().copy(n(), trial_gradient_.data(), y);
    ops().axpby(n(), T(-1), gradient(), T(1), y);
    numbers_->start();
    numbers_->dot(ops(), n(), trial_gradient_.data(), trial_gradient_.data());
    pairs_.queue_next(numbers_->take(pairs_.numbers()));
    numbers_->post();
    const Span<const double> numbers = numbers_->values();
    norm_ = std::sqrt(numbers[0]);
    s.report.step_norm = std::sqrt(numbers[3]);
    ops().copy(n(), trial_gradient_.data(), gradient());
    ops().copy(n(), this->trial(), s.theta);
    pairs_.keep(numbers.subspan(1));
    products_.clear();
  }

  LbfgsOptions o_;
  LbfgsPairs<T> pairs_;
  Buffer<T> trial_gradient_;
  std::unique_ptr<QueuedPoint<T>> point_;   ///< of a trial
  std::unique_ptr<QueuedNumbers> numbers_;  ///< of a pair, or of the gradient with the pairs
  std::vector<double> products_;            ///< late: of the gradient with the pairs; empty: not taken yet
  double last_t_ = 0, norm_ = 0;            ///< norm_ of the gradient
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
