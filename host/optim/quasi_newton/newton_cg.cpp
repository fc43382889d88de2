// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/optim/quasi_newton.hpp"
#include "optim/quasi_newton/truncated_cg.hpp"
#include "optim/step/trial_step.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class NewtonCg final : public TrialStep<T> {
 public:
  explicit NewtonCg(const NewtonCgOptions& o) : TrialStep<T>("newton_cg"), o_(o), kind_(parse_curvature(o.curvature)) {
    require_option(o.forcing > 0 && o.forcing < 1, "newton_cg", "forcing", o.forcing, "in (0, 1)");
    require_option(o.iterations >= 1, "newton_cg", "iterations", o.iterations, "at least 1");
    require_option(o.decrease > 0 && o.decrease < 0.5, "newton_cg", "decrease", o.decrease, "in (0, 0.5)");
    require_option(o.max_trials >= 1, "newton_cg", "max_trials", o.max_trials, "at least 1");
  }

 private:
  Index vectors() const override { return 6; }
  void start(Objective<T>&) override { expected_ = 0; }
  void visit_method(StateVisitor& state) override { state("expected", expected_); }

  void evaluate(Objective<T>& objective, const T* theta, T* g, QueuedPoint<T>& point) override {
    auto [value, curvature] = objective.linearize(theta, g, kind_);
    operator_ = std::move(curvature);
    point.queue(value, this->n(), {{g, g}});
  }

  std::string advance(Objective<T>& objective, T* theta, StepReport& report) override {
    const double norm = report.gradient_norm, forcing = std::min(o_.forcing, std::sqrt(norm));
    TruncatedCgOptions limits{forcing * norm, o_.iterations};
    limits.expected = expected_;
    const TruncatedCgResult solve = truncated_cg<T>(*operator_, this->gradient(), this->direction(), limits);
    expected_ = solve.products;
    report.products = solve.products;
    if (!(solve.slope < 0)) return fmt::format("no direction of descent: conjugate gradients {}", name_of(solve.end));
    LineSearchOptions o;
    o.decrease = o_.decrease;
    o.noise = this->rounding_of(report.loss_before);
    o.evaluations = o_.max_trials;
    const LineSearchResult found = backtrack([&](double t) { return objective.value(this->trial_at(theta, t)); },
                                             {0, report.loss_before, solve.slope}, o);
    report.trials = found.evaluations;
    if (found.status != LineSearchStatus::satisfied)
      return fmt::format("the line search: {} after {} trials", name_of(found.status), found.evaluations);
    this->ops().copy(this->n(), this->trial(), theta);
    report.loss_after = found.point.value;
    report.step_norm = found.point.t * solve.norm;
    report.metrics.emplace_back("solve", std::string(name_of(solve.end)));
    report.metrics.emplace_back("forcing", forcing);
    report.metrics.emplace_back("length", found.point.t);
    return {};
  }

  NewtonCgOptions o_;
  Curvature kind_;
  std::unique_ptr<LinearOperator<T>> operator_;
  Index expected_ = 0;  ///< products of the last step
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_newton_cg(const NewtonCgOptions& options) {
  return std::make_unique<detail::NewtonCg<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_newton_cg(const NewtonCgOptions&);
template std::unique_ptr<Optimizer<double>> make_newton_cg(const NewtonCgOptions&);

}  // namespace hso
