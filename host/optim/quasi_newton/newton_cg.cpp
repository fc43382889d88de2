// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/optim/quasi_newton.hpp"
#include "optim/hso/model_cg.hpp"
#include "optim/step/judged_step.hpp"
#include "optim/step/line_search.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class NewtonCg final : public JudgedStep<T> {
 public:
  explicit NewtonCg(const NewtonCgOptions& o)
      : JudgedStep<T>("newton_cg"),
        o_(o),
        kind_(o.curvature),
        solver_({.iterations = o.iterations, .progress = 0, .kept = 0}) {
    require_option(o.forcing > 0 && o.forcing < 1, "newton_cg", "forcing", o.forcing, "in (0, 1)");
    require_option(o.iterations >= 1, "newton_cg", "iterations", o.iterations, "at least 1");
    require_option(o.decrease > 0 && o.decrease < 0.5, "newton_cg", "decrease", o.decrease, "in (0, 0.5)");
    require_option(o.max_trials >= 1, "newton_cg", "max_trials", o.max_trials, "at least 1");
  }

 private:
  Index vectors() const override { return 8; }
  void begin(Objective<T>& objective) override { solver_.make_room(objective.context(), this->n(), false); }
  void visit_method(StateVisitor& state, Objective<T>*) override { solver_.visit_state(state); }
  void evaluate(Step<T>& s) override { this->linearize(s, kind_); }

  std::string propose(Step<T>& s) override {
    forcing_ = std::min(o_.forcing, std::sqrt(s.report.gradient_norm));
    solver_.set_tolerance(forcing_);
    solve_ = solver_.minimize(*s.curvature, 0, this->gradient(), nullptr, nullptr);
    s.report.products = solve_.products;
    choose_direction();
    const T* step = this->own_step();
    this->point().start();
    this->point().dot(this->ops(), this->n(), this->gradient(), step);
    this->point().dot(this->ops(), this->n(), step, step);
    this->point().post();
    slope_ = this->point().values()[0];
    length_ = std::sqrt(this->point().values()[1]);
    if (slope_ < 0) return {};
    s.report.trials = 0;
    return fmt::format("no direction of descent: conjugate gradients {}", name_of(solve_.stop));
  }

  std::string move(Step<T>& s) override {
    LineSearchOptions o;
    o.decrease = o_.decrease;
    o.noise = this->rounding_of(s.report.loss_before);
    o.evaluations = o_.max_trials;
    const LineSearchResult found = backtrack([&](double t) { return this->value_at(s, this->own_step(), t); },
                                             {0, s.report.loss_before, slope_}, o);
    s.report.trials = found.evaluations;
    if (found.status != LineSearchStatus::satisfied)
      return fmt::format("the line search: {} after {} trials", name_of(found.status), found.evaluations);
    this->ops().copy(this->n(), this->trial(), s.theta);
    s.report.loss_after = found.point.value;
    s.report.step_norm = found.point.t * length_;
    s.report.metrics.emplace_back("solve", std::string(name_of(solve_.stop)));
    s.report.metrics.emplace_back("forcing", forcing_);
    s.report.metrics.emplace_back("length", found.point.t);
    return {};
  }

  /// What conjugate gradients found, or -g where its own curvature is negative.
  void choose_direction() {
    if (solve_.stop != ModelCgStop::negative_curvature || solve_.iterations > 1)
      return this->ops().copy(this->n(), solver_.x(), this->own_step());
    this->ops().axpby(this->n(), T(-1), this->gradient(), T(0), this->own_step());
  }

  NewtonCgOptions o_;
  Curvature kind_;
  ModelCg<T> solver_;
  ModelCgResult solve_;
  double forcing_ = 0, slope_ = 0, length_ = 0;  ///< slope and length of the direction
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
