// SPDX-License-Identifier: Apache-2.0
//
// What the matrix-free forms of HSO share: a step from an approximate inverse, judged by the quadratic model with one
// exact product, g's + s'As / 2, and by the value; damping and eps follow actual over predicted decrease.
#pragma once

#include <fmt/format.h>

#include <cmath>

#include "hsogpu/detail/ops.hpp"
#include "optim/damping.hpp"

namespace hso::detail {

template <class T>
class ModelStep : public Optimizer<T> {
 public:
  ModelStep(std::string name, const HsoOptions& common)
      : common_(common), name_(std::move(name)), kind_(parse_curvature(common.curvature)), damping_(common) {}
  const std::string& name() const override { return name_; }
  bool full_batch() const override { return true; }

  Index bytes(Context& context, const ParameterLayout& layout) const override {
    return checked_multiply(4 * static_cast<Index>(sizeof(T)), layout.n) + form_bytes(context, layout);
  }

  StepReport step(Objective<T>& objective, T* theta) override {
    make_room(objective);
    StepReport report;
    report.trials = 0;
    const auto [value, curvature] = objective.linearize(theta, gradient_.data(), kind_);
    report.loss_before = report.loss_after = value;
    report.gradient_norm = ops_->nrm2(n_, gradient_.data());
    if (!std::isfinite(value) || !std::isfinite(report.gradient_norm))
      return refuse(report, StepStatus::not_finite, fmt::format("loss {} or its gradient is not finite", value));
    if (report.gradient_norm == 0) return refuse(report, StepStatus::rejected, "the gradient is zero");
    if (const std::string why = prepare(objective, theta, *curvature, report); !why.empty())
      return refuse(report, StepStatus::singular, why);
    std::string last = "no trial was made";
    while (report.trials < common_.max_trials) {
      ++report.trials;
      last = try_one(objective, theta, *curvature, report);
      if (last.empty()) {
        taken(report);
        return report;
      }
      if (!damping_.rejected()) break;
    }
    return refuse(report, StepStatus::rejected,
                  fmt::format("{} trials at loss {:.9g}, delta up to {:.3g}: {}", report.trials, report.loss_before,
                              damping_.delta(), last));
  }

 protected:
  /// Bytes of the form's inverse and of making a step from it. The default: four vectors.
  virtual Index form_bytes(Context&, const ParameterLayout& layout) const {
    return checked_multiply(4 * static_cast<Index>(sizeof(T)), layout.n);
  }
  /// Once a step, at the point of `curvature`. What it returns says why no step can be made; empty: one can.
  virtual std::string prepare(Objective<T>& objective, const T* theta, LinearOperator<T>& curvature,
                              StepReport& report) = 0;
  /// step := what is added to theta, from g. What it returns says why there is none at this damping; empty: there is.
  virtual std::string propose(LinearOperator<T>& curvature, const T* g, T* step, StepReport& report) = 0;
  /// An accepted step.
  virtual void taken(StepReport&) {}
  /// Scales the step to the minimum of the damped quadratic model along it.
  virtual bool rescales() const { return false; }

  const Damping& damping() const { return damping_; }
  const T* gradient() const { return gradient_.data(); }
  Ops<T>& ops() { return *ops_; }
  Index n() const { return n_; }
  const HsoOptions common_;

 private:
  void make_room(Objective<T>& objective) {
    if (n_ == objective.dimension() && ops_ == &objective.context().template ops<T>()) return;
    n_ = objective.dimension();
    ops_ = &objective.context().template ops<T>();
    for (Buffer<T>* b : {&gradient_, &step_, &product_, &trial_}) *b = Buffer<T>(objective.context(), n_);
    damping_ = Damping(common_);
  }
  StepReport refuse(StepReport& report, StepStatus status, const std::string& why) const {
    report.status = status;
    report.message = name_ + ": " + why + "; parameters unchanged";
    return report;
  }

  /// Empty when the step was taken.
  std::string try_one(Objective<T>& objective, T* theta, LinearOperator<T>& curvature, StepReport& report) {
    const double delta = damping_.delta(), eps_scale = damping_.eps_scale();
    if (std::string why = propose(curvature, gradient_.data(), step_.data(), report); !why.empty()) return why;
    curvature.apply(vector_view<const T>(step_.data(), n_), vector_view(product_.data(), n_));
    ++report.products;
    double slope = ops_->dot(n_, gradient_.data(), step_.data());
    double bend = ops_->dot(n_, step_.data(), product_.data());
    if (!std::isfinite(slope) || !std::isfinite(bend)) return "the step is not finite";
    if (!(slope < 0)) return "the step does not descend";
    if (rescales()) rescale(delta, slope, bend);
    ops_->copy(n_, theta, trial_.data());
    ops_->axpby(n_, T(1), step_.data(), T(1), trial_.data());
    const double value = objective.value(trial_.data());
    if (!std::isfinite(value) || !(value < report.loss_before)) return fmt::format("the loss became {:.9g}", value);
    const double predicted = -(slope + bend / 2), ratio = (report.loss_before - value) / predicted;
    ops_->copy(n_, trial_.data(), theta);
    report.loss_after = value;
    report.step_norm = ops_->nrm2(n_, step_.data());
    report.metrics.emplace_back("delta", delta);
    report.metrics.emplace_back("eps_scale", eps_scale);
    report.metrics.emplace_back("predicted_decrease", predicted);
    report.metrics.emplace_back("ratio", ratio);
    damping_.accepted(predicted > 0 ? ratio : 0);
    return {};
  }

  void rescale(double delta, double& slope, double& bend) {
    const double damped = bend + delta * ops_->dot(n_, step_.data(), step_.data());
    if (!(damped > 0)) return;
    const double length = -slope / damped;
    ops_->axpby(n_, T(0), step_.data(), static_cast<T>(length), step_.data());
    slope *= length;
    bend *= length * length;
  }

  std::string name_;
  Curvature kind_;
  Damping damping_;
  Index n_ = -1;
  Ops<T>* ops_ = nullptr;
  Buffer<T> gradient_, step_, product_, trial_;
};

/// The options that the damping loop reads, from a form's own.
template <class Options>
HsoOptions common_options(const char* name, const Options& o) {
  HsoOptions out;
  out.rate = o.rate;
  out.curvature = o.curvature;
  out.delta = o.delta;
  out.eps = o.eps;
  out.eps_scale = 0;
  if constexpr (requires { o.eps_scale; }) out.eps_scale = o.eps_scale;
  out.adaptive = o.adaptive;
  out.max_trials = o.max_trials;
  require_option(o.rate > 0, name, "rate", o.rate, "above 0");
  require_option(o.delta >= 0, name, "delta", o.delta, "0 or above");
  require_option(o.eps >= 0, name, "eps", o.eps, "0 or above");
  require_option(out.eps_scale >= 0 && out.eps_scale < 1, name, "eps_scale", out.eps_scale,
                 "in [0, 1): a full step is unstable from 1 on");
  require_option(o.max_trials >= 1, name, "max_trials", o.max_trials, "at least 1");
  return out;
}

}  // namespace hso::detail
