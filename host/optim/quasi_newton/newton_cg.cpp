// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/optim/quasi_newton.hpp"
#include "optim/hso/model_cg.hpp"
#include "optim/step/trial_step.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class NewtonCg final : public TrialStep<T> {
 public:
  explicit NewtonCg(const NewtonCgOptions& o)
      : TrialStep<T>("newton_cg"),
        o_(o),
        kind_(parse_curvature(o.curvature)),
        solver_({.iterations = o.iterations, .progress = 0, .kept = 0}) {
    require_option(o.forcing > 0 && o.forcing < 1, "newton_cg", "forcing", o.forcing, "in (0, 1)");
    require_option(o.iterations >= 1, "newton_cg", "iterations", o.iterations, "at least 1");
    require_option(o.decrease > 0 && o.decrease < 0.5, "newton_cg", "decrease", o.decrease, "in (0, 0.5)");
    require_option(o.max_trials >= 1, "newton_cg", "max_trials", o.max_trials, "at least 1");
  }

 private:
  Index vectors() const override { return 7; }
  void start(Objective<T>& objective) override { solver_.make_room(objective.context(), this->n(), false); }
  void visit_method(StateVisitor& state) override { solver_.visit_state(state); }

  void evaluate(Objective<T>& objective, const T* theta, T* g, QueuedPoint<T>& point) override {
    auto [value, curvature] = objective.linearize(theta, g, kind_);
    operator_ = std::move(curvature);
    point.queue(value, this->n(), {{g, g}});
  }

  std::string advance(Objective<T>& objective, T* theta, StepReport& report) override {
    const double norm = report.gradient_norm, forcing = std::min(o_.forcing, std::sqrt(norm));
    solver_.set_tolerance(forcing);
    const ModelCgResult solve = solver_.minimize(*operator_, 0, this->gradient(), nullptr, nullptr);
    report.products = solve.products;
    const double length = choose_direction(solve, norm);
    const double slope = this->ops().dot(this->n(), this->gradient(), this->direction());
    if (!(slope < 0)) return fmt::format("no direction of descent: conjugate gradients {}", name_of(solve.stop));
    LineSearchOptions o;
    o.decrease = o_.decrease;
    o.noise = this->rounding_of(report.loss_before);
    o.evaluations = o_.max_trials;
    const LineSearchResult found = backtrack([&](double t) { return objective.value(this->trial_at(theta, t)); },
                                             {0, report.loss_before, slope}, o);
    report.trials = found.evaluations;
    if (found.status != LineSearchStatus::satisfied)
      return fmt::format("the line search: {} after {} trials", name_of(found.status), found.evaluations);
    this->ops().copy(this->n(), this->trial(), theta);
    report.loss_after = found.point.value;
    report.step_norm = found.point.t * length;
    report.metrics.emplace_back("solve", std::string(name_of(solve.stop)));
    report.metrics.emplace_back("forcing", forcing);
    report.metrics.emplace_back("length", found.point.t);
    return {};
  }

  /// What conjugate gradients found, or -g where its own curvature is negative; returns the norm.
  double choose_direction(const ModelCgResult& solve, double gradient_norm) {
    if (solve.stop == ModelCgStop::negative_curvature && solve.iterations == 1) {
      this->ops().axpby(this->n(), T(-1), this->gradient(), T(0), this->direction());
      return gradient_norm;
    }
    this->ops().copy(this->n(), solver_.x(), this->direction());
    return solve.norm;
  }

  NewtonCgOptions o_;
  Curvature kind_;
  std::unique_ptr<LinearOperator<T>> operator_;
  ModelCg<T> solver_;
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
