// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/operators.hpp"
#include "hsogpu/optim/quasi_newton.hpp"
#include "optim/hso/damping.hpp"
#include "optim/hso/model_cg.hpp"
#include "optim/quasi_newton/sr1_update.hpp"
#include "optim/step/judged_step.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Sr1 final : public JudgedStep<T> {
 public:
  explicit Sr1(const Sr1Options& o)
      : JudgedStep<T>("sr1"), o_(o), region_({.poor_step = 2, .refusal = 2, .not_finite = 4, .poor = 0.1}) {
    require_option(o.radius > 0, "sr1", "radius", o.radius, "above 0");
    require_option(o.decrease > 0 && o.decrease < 0.1, "sr1", "decrease", o.decrease, "in (0, 0.1)");
    require_option(o.skip > 0 && o.skip < 1, "sr1", "skip", o.skip, "in (0, 1)");
    require_option(o.max_trials >= 1, "sr1", "max_trials", o.max_trials, "at least 1");
  }
  bool dense() const override { return true; }

 private:
  Index vectors() const override { return 9; }
  using JudgedStep<T>::n;
  using JudgedStep<T>::ops;
  using JudgedStep<T>::gradient;
  using JudgedStep<T>::own_step;

  void begin(Objective<T>& objective) override {
    Context& context = objective.context();
    require_memory(context, "sr1: the dense matrix", n(), [](Index size) {
      return checked_multiply(checked_multiply(size, size), static_cast<Index>(sizeof(T)));
    });
    matrix_ = Buffer<T>(context, n() * n());
    solver_ = std::make_unique<ModelCg<T>>(
        ModelCgOptions{.iterations = std::max<Index>(100, 2 * n()), .progress = 0, .kept = 0});
    solver_->make_room(context, n(), false);
    for (Buffer<T>* b : {&trial_gradient_, &residual_}) *b = Buffer<T>(context, n());
    set_identity(1);
    scaled_ = false;
    region_.start(o_.radius);
  }
  void visit_method(StateVisitor& state, Objective<T>*) override {
    state("matrix", matrix_);
    region_.visit_state(state);
    state("scaled", scaled_);
  }
  void set_identity(double scale) {
    ops().fill(n() * n(), T(0), matrix_.data());
    ops().for_each(1, n(), AddDiagonal<T>{matrix_.data(), n(), static_cast<T>(scale)});
  }

  std::string propose(Step<T>& s) override {
    MatrixOperator<T> model(s.objective.context(), n(), matrix_.data());
    if (s.report.trials == 1) updates_ = 0;
    solver_->set_tolerance(std::min(0.1, std::sqrt(s.report.gradient_norm)));
    solve_ = solver_->minimize(model, 0, gradient(), nullptr, nullptr, region_.radius());
    ops().copy(n(), solver_->x(), own_step());
    if (solve_.phi < 0) return {};
    --s.report.trials;
    return fmt::format("the model does not decrease: {}", name_of(solve_.stop));
  }

  std::string move(Step<T>& s) override {
    StepReport& report = s.report;
    const double value = s.objective.gradient(this->trial_at(s, own_step(), 1), trial_gradient_.data());
    ++report.gradients;
    const double slope = ops().dot(n(), trial_gradient_.data(), own_step());
    const bool finite = std::isfinite(value) && std::isfinite(slope);
    const double ratio = finite ? ratio_of(report.loss_before, value, -solve_.phi) : 0;
    if (finite) updates_ += update() ? 1 : 0;
    if (!(ratio > o_.decrease)) {
      region_.rejected(finite ? value : kNotFinite, solve_.norm);
      return fmt::format("{} trials at loss {:.9g}, radius {:.3g}", report.trials, report.loss_before,
                         region_.radius());
    }
    ops().copy(n(), this->trial(), s.theta);
    describe(report, value, ratio);
    region_.accepted(ratio, solve_.norm, solve_.norm > 0.8 * region_.radius() ? region_.radius() : 0);
    return {};
  }
  bool retry(Step<T>&) override { return solve_.phi < 0 && ops().max_abs(n(), own_step()) != 0; }
  int max_trials() const override { return o_.max_trials; }

  /// Actual over predicted decrease; 1 where rounding hides both.
  double ratio_of(double before, double after, double predicted) const {
    const double noise = this->rounding_of(before);
    if (predicted <= noise && std::fabs(before - after) <= noise) return 1;
    return (before - after) / predicted;
  }

  /// Turns the trial gradient into y and feeds (step, y) to the matrix.
  bool update() {
    T* y = trial_gradient_.data();
    const T* s = own_step();
    ops().axpby(n(), T(-1), gradient(), T(1), y);
    if (!scaled_) {
      const double sy = ops().dot(n(), s, y), scale = ops().dot(n(), y, y) / sy;
      if (sy > 0 && std::isfinite(static_cast<T>(scale)) && scale > 0) set_identity(scale);
      scaled_ = true;
    }
    return sr1_update(ops(), n(), matrix_.data(), s, y, residual_.data(), o_.skip);
  }

  void describe(StepReport& report, double value, double ratio) {
    report.loss_after = value;
    report.step_norm = ops().nrm2(n(), own_step());
    report.metrics.emplace_back("radius", region_.radius());
    report.metrics.emplace_back("predicted_decrease", -solve_.phi);
    report.metrics.emplace_back("ratio", ratio);
    report.metrics.emplace_back("updates", std::int64_t{updates_});
    report.metrics.emplace_back("solve", std::string(name_of(solve_.stop)));
  }

  static constexpr double kNotFinite = std::numeric_limits<double>::quiet_NaN();
  Sr1Options o_;
  Buffer<T> matrix_, trial_gradient_, residual_;
  std::unique_ptr<ModelCg<T>> solver_;
  ModelCgResult solve_;
  TrustRadius region_;
  int updates_ = 0;  ///< of this step
  bool scaled_ = false;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_sr1(const Sr1Options& options) {
  return std::make_unique<detail::Sr1<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_sr1(const Sr1Options&);
template std::unique_ptr<Optimizer<double>> make_sr1(const Sr1Options&);

}  // namespace hso
