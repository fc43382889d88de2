// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/linalg/dense.hpp"
#include "hsogpu/linalg/operators.hpp"
#include "hsogpu/optim/quasi_newton.hpp"
#include "optim/hso/model_cg.hpp"
#include "optim/quasi_newton/sr1_update.hpp"
#include "optim/step/trial_step.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Sr1 final : public TrialStep<T> {
 public:
  explicit Sr1(const Sr1Options& o) : TrialStep<T>("sr1"), o_(o) {
    require_option(o.radius > 0, "sr1", "radius", o.radius, "above 0");
    require_option(o.decrease > 0 && o.decrease < 0.1, "sr1", "decrease", o.decrease, "in (0, 0.1)");
    require_option(o.skip > 0 && o.skip < 1, "sr1", "skip", o.skip, "in (0, 1)");
    require_option(o.max_trials >= 1, "sr1", "max_trials", o.max_trials, "at least 1");
  }
  bool dense() const override { return true; }

 private:
  Index vectors() const override { return 8; }
  using TrialStep<T>::n;
  using TrialStep<T>::ops;

  void start(Objective<T>& objective) override {
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
    radius_ = o_.radius;
  }
  void visit_method(StateVisitor& state) override {
    state("matrix", matrix_);
    state("radius", radius_);
    state("scaled", scaled_);
  }
  void set_identity(double scale) {
    ops().fill(n() * n(), T(0), matrix_.data());
    ops().for_each(1, n(), AddDiagonal<T>{matrix_.data(), n(), static_cast<T>(scale)});
  }

  std::string advance(Objective<T>& objective, T* theta, StepReport& report) override {
    MatrixOperator<T> model(objective.context(), n(), matrix_.data());
    solver_->set_tolerance(std::min(0.1, std::sqrt(report.gradient_norm)));
    int updates = 0;
    while (report.trials < o_.max_trials) {
      const ModelCgResult solve = solver_->minimize(model, 0, this->gradient(), nullptr, nullptr, radius_);
      if (!(solve.phi < 0)) return fmt::format("the model does not decrease: {}", name_of(solve.stop));
      ops().copy(n(), solver_->x(), this->direction());
      const double length = ops().nrm2(n(), this->direction());
      const double value = objective.gradient(this->trial_at(theta, 1), trial_gradient_.data());
      ++report.trials;
      ++report.gradients;
      const double slope = ops().dot(n(), trial_gradient_.data(), this->direction());
      if (!std::isfinite(value) || !std::isfinite(slope)) {
        radius_ = length / 4;
        continue;
      }
      const double ratio = ratio_of(report.loss_before, value, -solve.phi);
      updates += update() ? 1 : 0;
      if (ratio > o_.decrease) {
        ops().copy(n(), this->trial(), theta);
        describe(report, value, length, ratio, updates, solve);
      }
      adapt(ratio, length);
      if (ratio > o_.decrease) return {};
      if (ops().max_abs(n(), this->direction()) == 0) break;
    }
    return fmt::format("{} trials at loss {:.9g}, radius {:.3g}", report.trials, report.loss_before, radius_);
  }

  /// Actual over predicted decrease; 1 where rounding hides both.
  double ratio_of(double before, double after, double predicted) const {
    const double noise = this->rounding_of(before);
    if (predicted <= noise && std::fabs(before - after) <= noise) return 1;
    return (before - after) / predicted;
  }

  /// Turns the trial gradient into y and feeds (step, y) to the matrix.
  bool update() {
    T* y = trial_gradient_.data();
    const T* s = this->direction();
    ops().axpby(n(), T(-1), this->gradient(), T(1), y);
    if (!scaled_) {
      const double sy = ops().dot(n(), s, y), scale = ops().dot(n(), y, y) / sy;
      if (sy > 0 && std::isfinite(static_cast<T>(scale)) && scale > 0) set_identity(scale);
      scaled_ = true;
    }
    return sr1_update(ops(), n(), matrix_.data(), s, y, residual_.data(), o_.skip);
  }

  void adapt(double ratio, double length) {
    if (ratio > 0.75 && length > 0.8 * radius_) radius_ *= 2;
    if (ratio < 0.1) radius_ = std::min(radius_, length) / 2;
  }

  void describe(StepReport& report, double value, double length, double ratio, int updates,
                const ModelCgResult& solve) const {
    report.loss_after = value;
    report.step_norm = length;
    report.metrics.emplace_back("radius", radius_);
    report.metrics.emplace_back("predicted_decrease", -solve.phi);
    report.metrics.emplace_back("ratio", ratio);
    report.metrics.emplace_back("updates", std::int64_t{updates});
    report.metrics.emplace_back("solve", std::string(name_of(solve.stop)));
  }

  Sr1Options o_;
  Buffer<T> matrix_, trial_gradient_, residual_;
  std::unique_ptr<ModelCg<T>> solver_;
  double radius_ = 1;
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
