// SPDX-License-Identifier: Apache-2.0
//
// What the matrix-free forms of HSO share: a step from an approximate inverse, judged by the quadratic model with one
// exact product, g's + s'As / 2, and by the value; damping and eps follow actual over predicted decrease. All trials of
// a step are judged by the objective as it stands, so on a mini-batch a step that does not lower the loss of that batch
// is refused.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>

#include "hsogpu/detail/ops.hpp"
#include "io/shown_text.hpp"
#include "linalg/queued_numbers.hpp"
#include "objective/network_curvature.hpp"
#include "optim/hso/damping.hpp"
#include "optim/step/descent.hpp"

namespace hso::detail {

template <class T>
class ModelStep : public Optimizer<T> {
 public:
  ModelStep(std::string name, const HsoOptions& common)
      : common_(common), name_(std::move(name)), kind_(parse_curvature(common.curvature)), damping_(common) {}
  const std::string& name() const override { return name_; }
  bool full_batch() const override { return judged(); }
  void visit_state(StateVisitor& state, Objective<T>* coming) final {
    if (!state.started(n_ >= 0)) {
      n_ = -1;
      return;
    }
    if (state.reads()) make_room(*coming);
    damping_.visit_state(state);
    state("moved", moved_);
    if (subspace() && moved_) state("pair", pair_);
    const bool had_room = !fresh_;
    state("fresh", fresh_);
    if (fresh_) return;
    if (!had_room) make_form_room(*coming);
    state.part("form", [&] { visit_form(state); });
  }

  Index bytes(Context& context, const ParameterLayout& layout) const override {
    return checked_multiply((subspace() ? 10 : 4) * static_cast<Index>(sizeof(T)), layout.n) +
           form_bytes(context, layout);
  }

  StepReport step(Objective<T>& objective, T* theta) override {
    make_room(objective);
    StepReport report;
    report.trials = 0;
    evaluations_ = 0;
    const T* g = gradient_.data();
    queued_->start();
    value_at_ = queued_->take();
    value_queued_ = false;
    const auto [value, curvature] = linearize(objective, theta, gradient_.data(), kind_);
    report.loss_before = report.loss_after = value;
    queued_->dot(*ops_, n_, g, g);
    queued_->post();
    const Look look = ops_->context().is_cuda() ? looks() : Look::before_prepare;
    if ((look == Look::before_prepare || !std::isfinite(value)) && refuses_gradient(report)) return report;
    const std::string why = prepare(objective, theta, *curvature, report);
    if (look == Look::behind_prepare && refuses_gradient(report)) return forget(report);
    if (!why.empty())
      return refuse(report, report.status == StepStatus::accepted ? StepStatus::singular : report.status, why);
    fresh_ = false;
    std::string last = "no trial was made";
    while (report.trials < common_.max_trials) {
      ++report.trials;
      const double delta = damping_.delta();
      last = propose(*curvature, g, step_.data(), report);
      if (look == Look::behind_propose && report.trials == 1 && refuses_gradient(report)) return report;
      if (last.empty()) last = try_one(objective, theta, *curvature, delta, report);
      if (last.empty()) {
        taken(report);
        return report;
      }
      if (!judged() || !adapt_rejected()) break;
    }
    refused();
    return refuse(report, StepStatus::rejected,
                  fmt::format("{} trials at loss {:.9g}, delta up to {:.3g}: {}", report.trials, report.loss_before,
                              damping_.delta(), last));
  }

 protected:
  /// Bytes of the form's inverse and of making a step from it. The default: four vectors.
  virtual Index form_bytes(Context&, const ParameterLayout& layout) const {
    return checked_multiply(4 * static_cast<Index>(sizeof(T)), layout.n);
  }
  /// Room of the form's own: once `fresh`, in the first `prepare` or before its state is read.
  virtual void make_form_room(Objective<T>&) {}
  /// The form's members that steps leave for the next ones.
  virtual void visit_form(StateVisitor& state) = 0;
  /// Value, gradient and the curvature of the quadratic model; a form that can gather more on the way takes it here.
  virtual typename Objective<T>::Linearized linearize(Objective<T>& objective, const T* theta, T* g, Curvature kind) {
    if (auto products = linearize_on_device(objective, theta, g, kind, value_at_))
      return {queued_value(), std::move(products)};
    return objective.linearize(theta, g, kind);
  }
  /// Where `linearize` may leave the value in device memory; what it returns in its place then.
  double* value_on_device() const { return value_at_; }
  double queued_value() {
    value_queued_ = true;
    return 0;
  }
  /// Once a step, at the point of `curvature`. What it returns says why no step can be made, which counts as `singular`
  /// unless it sets the report's status; empty: one can.
  virtual std::string prepare(Objective<T>& objective, const T* theta, LinearOperator<T>& curvature,
                              StepReport& report) = 0;
  /// step := what is added to theta, from g. What it returns says why there is none at this damping; empty: there is.
  virtual std::string propose(LinearOperator<T>& curvature, const T* g, T* step, StepReport& report) = 0;
  /// step := a shorter way to what was proposed: an earlier iterate of the solve. False when there is none.
  virtual bool earlier(const T*, T*) { return false; }
  /// Halvings of a step that does not lower the value by enough, before the damping is raised.
  virtual int halvings() const { return 0; }
  /// What `propose` queued has arrived, and the step is about to be taken: reading is for here, where an error still
  /// finds theta as it was.
  virtual void arrived(StepReport&) {}
  /// An accepted step, and one of which every trial was refused.
  virtual void taken(StepReport&) {}
  virtual void refused() {}
  /// False: a step that descends is taken without a product and a value; damping and loss_after stay.
  virtual bool judged() const { return true; }
  /// Scales the step to the minimum of the damped quadratic model along it, times `rate`.
  virtual bool rescales() const { return false; }
  /// With `rescales`: the model chooses the lengths of the step and of the last displacement together, which stands for
  /// momentum (Martens and Grosse 2015, section 7), for one product more. Two vectors and their products are held.
  virtual bool subspace() const { return false; }
  /// Of steps that nothing judges: false where momentum may carry one uphill on its batch.
  virtual bool must_descend() const { return true; }
  /// Where results come late: when the host looks at the loss and the gradient's norm. Later is for forms that a
  /// gradient that is not finite leaves as they were, or, behind `prepare`, that `refused` puts right.
  enum class Look { before_prepare, behind_prepare, behind_propose };
  virtual Look looks() const { return Look::before_prepare; }
  /// What follows from actual over predicted decrease. False when the next trial would be the same.
  virtual void adapt_accepted(double ratio) { damping_.accepted(ratio); }
  virtual bool adapt_rejected() { return damping_.rejected(); }

  Damping& damping() { return damping_; }
  const Damping& damping() const { return damping_; }
  const T* gradient() const { return gradient_.data(); }
  Ops<T>& ops() { return *ops_; }
  Index n() const { return n_; }
  /// Until `prepare` succeeds for the first time, or on an objective of another size or device: room is to be made.
  bool fresh() const { return fresh_; }
  const HsoOptions common_;

 private:
  static constexpr double kNone = std::numeric_limits<double>::infinity();
  static constexpr double kParallel = 1e-6;  ///< of the determinant over the product of the diagonal
  static constexpr double kArmijo = 1e-2;    ///< sufficient decrease, as a share of what the slope promises

  void make_room(Objective<T>& objective) {
    if (n_ == objective.dimension() && ops_ == &objective.context().template ops<T>()) return;
    fresh_ = true;
    n_ = -1;  // until nothing has thrown
    for (Buffer<T>* b : {&gradient_, &step_, &other_, &trial_})
      *b = Buffer<T>(objective.context(), objective.dimension());
    for (Buffer<T>* b : {&pair_, &products_})
      if (subspace()) *b = Buffer<T>(objective.context(), 2 * objective.dimension());
    moved_ = false;
    queued_ = std::make_unique<QueuedNumbers>(objective.context(), 8);
    values_ = std::make_unique<QueuedNumbers>(objective.context(), 2);
    damping_ = Damping(common_);
    ops_ = &objective.context().template ops<T>();
    n_ = objective.dimension();
  }
  /// Of the queued value and the square of the gradient's norm.
  bool refuses_gradient(StepReport& report) {
    const Span<const double> found = queued_->values();
    if (value_queued_) report.loss_before = report.loss_after = found[0];
    report.gradient_norm = std::sqrt(found[1]);
    if (!std::isfinite(report.loss_before) || !std::isfinite(report.gradient_norm))
      refuse(report, StepStatus::not_finite,
             fmt::format("loss {} or its gradient is not finite", unsigned_nan(report.loss_before)));
    else if (report.gradient_norm == 0)
      refuse(report, StepStatus::rejected, "the gradient is zero");
    return !report.message.empty();
  }
  StepReport forget(StepReport& report) {
    refused();
    return report;
  }
  StepReport refuse(StepReport& report, StepStatus status, const std::string& why) const {
    report.status = status;
    report.message = name_ + ": " + why + "; parameters unchanged";
    return report;
  }

  static double finite_or_none(double value) { return std::isfinite(value) ? value : kNone; }
  const T* trial_at(const T* theta, const T* step, double length) {
    ++evaluations_;
    ops_->copy(n_, theta, trial_.data());
    ops_->axpby(n_, static_cast<T>(length), step, T(1), trial_.data());
    return trial_.data();
  }
  /// The value at theta + length step, infinite when it is not finite.
  double value_at(Objective<T>& objective, const T* theta, const T* step, double length) {
    return finite_or_none(objective.value(trial_at(theta, step, length)));
  }
  /// Martens 2010, section 4.6: back through the iterates while the value falls. The first two are always looked at,
  /// and read together.
  double backtrack(Objective<T>& objective, const T* theta) {
    values_->start();
    objective.value_on_device(trial_at(theta, step_.data(), 1), values_->take());
    bool more = earlier(gradient_.data(), other_.data());
    if (more) objective.value_on_device(trial_at(theta, other_.data(), 1), values_->take());
    values_->post();
    double value = finite_or_none(values_->values()[0]);
    double before = more ? finite_or_none(values_->values()[1]) : kNone;
    while (more && before < value) {
      value = before;
      std::swap(step_, other_);
      queued_for_ = nullptr;
      more = earlier(gradient_.data(), other_.data());
      if (more) before = value_at(objective, theta, other_.data(), 1);
    }
    return value;
  }

  struct Model {
    double slope, sAs;  ///< g's and s'As
    double square;      ///< s's
    double decrease() const { return -(slope + sAs / 2); }
  };
  Model model(LinearOperator<T>& curvature, StepReport& report) {
    if (queued_for_ != step_.data()) queue_model(curvature);
    queued_for_ = nullptr;
    ++report.products;
    const Span<const double> found = queued_->values();
    return {found[0], found[1], found[2]};
  }
  void queue_model(LinearOperator<T>& curvature) {
    curvature.apply(vector_view<const T>(step_.data(), n_), other_.view());
    const T *g = gradient_.data(), *s = step_.data(), *as = other_.data();
    queued_->start();
    queued_->dot(*ops_, n_, g, s);
    queued_->dot(*ops_, n_, s, as);
    queued_->dot(*ops_, n_, s, s);
    queued_->post();
    queued_for_ = s;
  }

  /// Empty when the step was taken.
  std::string try_one(Objective<T>& objective, T* theta, LinearOperator<T>& curvature, double delta,
                      StepReport& report) {
    const double eps_scale = damping_.eps_scale();
    if (!judged()) return take(theta, report);
    queued_for_ = nullptr;
    if (ops_->context().is_cuda() && !rescales()) queue_model(curvature);
    double whole = rescales() ? kNone : backtrack(objective, theta);
    const bool both = rescales() && subspace() && moved_;
    Model m = both ? plane(delta, curvature, report) : model(curvature, report);
    if (!std::isfinite(m.slope) || !std::isfinite(m.sAs)) return "the step is not finite";
    if (!(m.slope < 0)) return "the step does not descend";
    if (rescales()) {
      if (!both) rescale(delta, m);
      whole = value_at(objective, theta, step_.data(), 1);
    }
    double value = whole, length = 1;
    for (int i = 0; i < halvings() && !(value < report.loss_before + kArmijo * length * m.slope); ++i)
      value = value_at(objective, theta, step_.data(), length /= 2);
    if (!(value < report.loss_before)) return fmt::format("the loss became {:.9g}", value);
    arrived(report);
    ops_->axpby(n_, static_cast<T>(length), step_.data(), T(1), theta);
    if (subspace()) ops_->axpby(n_, static_cast<T>(length), step_.data(), T(0), pair_.data() + n_);
    moved_ = true;
    const double predicted = m.decrease(), ratio = (report.loss_before - whole) / predicted;
    report.loss_after = value;
    report.step_norm = length * std::sqrt(m.square);
    report.metrics.emplace_back("delta", delta);
    report.metrics.emplace_back("eps_scale", eps_scale);
    report.metrics.emplace_back("predicted_decrease", predicted);
    report.metrics.emplace_back("ratio", ratio);
    report.metrics.emplace_back("evaluations", std::int64_t{evaluations_});
    if (halvings() > 0) report.metrics.emplace_back("length", length);
    adapt_accepted(predicted > 0 ? ratio : 0);
    return {};
  }

  std::string take(T* theta, StepReport& report) {
    queued_->start();
    queued_->dot(*ops_, n_, gradient_.data(), step_.data());
    ops_->norms_on_device(n_, step_.data(), queued_->take(2));
    queued_->post();
    const double slope = queued_->values()[0], square = queued_->values()[1], largest = queued_->values()[2];
    if (!std::isfinite(slope) || !std::isfinite(largest)) return "the step is not finite";
    if (must_descend() && !(slope < 0)) return "the step does not descend";
    arrived(report);
    ops_->axpby(n_, T(1), step_.data(), T(1), theta);
    report.step_norm = std::sqrt(square);
    report.metrics.emplace_back("delta", damping_.delta());
    return {};
  }

  /// step := a p + b d at the minimum of the damped model, p the step and d the last displacement, times `rate`; along
  /// p alone where the two are all but parallel.
  Model plane(double delta, LinearOperator<T>& curvature, StepReport& report) {
    T *p = pair_.data(), *d = p + n_;
    ops_->copy(n_, step_.data(), p);
    curvature.apply(vector_view<const T>(p, n_, 2), vector_view(products_.data(), n_, 2));
    report.products += 2;
    queued_->start();
    ops_->dots_on_device(2, n_, p, n_, gradient_.data(), 0, queued_->take(2));
    ops_->dots_on_device(2, n_, p, n_, products_.data(), n_, queued_->take(2));
    ops_->dots_on_device(2, n_, p, n_, p, n_, queued_->take(2));
    queued_->dot(*ops_, n_, p, products_.data() + n_);
    queued_->dot(*ops_, n_, p, d);
    queued_->post();
    const double* found = queued_->values().data();
    const double *slopes = found, *bends = found + 2, *squares = found + 4;
    const double cross = found[6], between = found[7], mixed = cross + delta * between;
    const double own = bends[0] + delta * squares[0], other = bends[1] + delta * squares[1];
    const double determinant = own * other - mixed * mixed;
    double a = own > 0 ? -slopes[0] / own : 1, b = 0;
    if (own > 0 && determinant > kParallel * own * other) {
      a = (mixed * slopes[1] - other * slopes[0]) / determinant;
      b = (mixed * slopes[0] - own * slopes[1]) / determinant;
    }
    a *= common_.rate, b *= common_.rate;
    ops_->copy(n_, p, step_.data());
    ops_->axpby(n_, static_cast<T>(b), d, static_cast<T>(a), step_.data());
    report.metrics.emplace_back("momentum", b);
    return {a * slopes[0] + b * slopes[1], a * a * bends[0] + 2 * a * b * cross + b * b * bends[1],
            a * a * squares[0] + 2 * a * b * between + b * b * squares[1]};
  }

  void rescale(double delta, Model& m) {
    const double damped = m.sAs + delta * m.square;
    if (!(damped > 0)) return;
    const double length = common_.rate * -m.slope / damped;
    ops_->axpby(n_, T(0), step_.data(), static_cast<T>(length), step_.data());
    m.slope *= length;
    m.sAs *= length * length;
    m.square *= length * length;
  }

  std::string name_;
  Curvature kind_;
  Damping damping_;
  Index n_ = -1;
  bool fresh_ = true;
  Ops<T>* ops_ = nullptr;
  int evaluations_ = 0;  ///< of the value in this step
  Buffer<T> gradient_, step_, other_, trial_;
  Buffer<T> pair_, products_;  ///< subspace: the proposed step and the last displacement, and their products
  bool moved_ = false;         ///< there is a last displacement
  std::unique_ptr<QueuedNumbers> queued_;  ///< the loss and the gradient's square, then the model of a step
  std::unique_ptr<QueuedNumbers> values_;  ///< the loss at two points that are tried
  double* value_at_ = nullptr;             ///< the first of them
  bool value_queued_ = false;
  const T* queued_for_ = nullptr;  ///< the step whose model is queued
};

/// The options that the damping loop reads, from a form's own.
template <class Options>
HsoOptions common_options(const char* name, const Options& o) {
  HsoOptions out;
  out.rate = o.rate;
  out.curvature = o.curvature;
  out.delta = o.delta;
  out.eps = o.eps;
  out.eps_scale = o.eps_scale;
  out.adaptive = o.adaptive;
  out.max_trials = o.max_trials;
  if constexpr (requires { o.delta_min; }) {
    out.delta_min = o.delta_min;
    out.increase = o.increase;
    out.decrease = o.decrease;
    require_option(o.delta_min >= 0, name, "delta_min", o.delta_min, "0 or above");
    require_option(o.increase > 1, name, "increase", o.increase, "above 1");
    require_option(o.decrease >= 1, name, "decrease", o.decrease, "at least 1");
  }
  require_option(o.rate > 0, name, "rate", o.rate, "above 0");
  require_option(o.delta >= 0, name, "delta", o.delta, "0 or above");
  require_option(o.eps >= 0, name, "eps", o.eps, "0 or above");
  require_option(o.eps_scale >= 0 && o.eps_scale < 1, name, "eps_scale", o.eps_scale,
                 "in [0, 1): a full step is unstable from 1 on");
  require_option(o.max_trials >= 1, name, "max_trials", o.max_trials, "at least 1");
  return out;
}

}  // namespace hso::detail
