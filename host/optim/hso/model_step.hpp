// SPDX-License-Identifier: Apache-2.0
//
// What the matrix-free forms of HSO share: a step from an approximate inverse, judged by the quadratic model with one
// exact product, g's + s'As / 2, and by the value; damping and eps follow actual over predicted decrease. All trials of
// a step are judged by the objective as it stands, so on a mini-batch a step that does not lower the loss of that batch
// is refused.
#pragma once

#include <cmath>
#include <limits>

#include "optim/hso/damping.hpp"
#include "optim/step/judged_step.hpp"
#include "optim/step/line_search.hpp"

namespace hso::detail {

template <class T>
class ModelStep : public JudgedStep<T> {
 public:
  ModelStep(std::string name, const HsoOptions& common)
      : JudgedStep<T>(std::move(name)), common_(common), kind_(common.curvature), damping_(common) {}
  bool full_batch() const override { return judged(); }
  Index bytes(Context& context, const ParameterLayout& layout) const override {
    return checked_multiply((subspace() ? 10 : 4) * static_cast<Index>(sizeof(T)), layout.n) +
           form_bytes(context, layout);
  }

 protected:
  using JudgedStep<T>::n;
  using JudgedStep<T>::ops;
  using JudgedStep<T>::gradient;
  using JudgedStep<T>::own_step;
  using JudgedStep<T>::point;

  /// Bytes of the form's inverse and of making a step from it. The default: four vectors.
  virtual Index form_bytes(Context&, const ParameterLayout& layout) const {
    return checked_multiply(4 * static_cast<Index>(sizeof(T)), layout.n);
  }
  /// Room of the form's own: in the first `prepare`, where it is `fresh`, or before its state is read.
  virtual void make_form_room(Objective<T>&) {}
  bool fresh() const { return !this->prepared_; }
  /// The form's members that steps leave for the next ones.
  virtual void visit_form(StateVisitor& state) = 0;
  void evaluate(Step<T>& s) override { this->linearize(s, kind_); }
  /// own_step() := a shorter way to what was proposed: an earlier iterate of the solve. False when there is none.
  virtual bool earlier(T*) { return false; }
  /// as := A own_step(), where the form knows it without a product.
  virtual bool knows_product(T*) { return false; }
  /// Halvings of a step that does not lower the value by enough, before the damping is raised.
  virtual int halvings() const { return 0; }
  /// What `propose` queued has arrived, and the step is about to be taken: reading is for here, where an error still
  /// finds theta as it was.
  virtual void arrived(StepReport&) {}
  /// False: a step that descends is taken without a product and a value; damping and loss_after stay.
  virtual bool judged() const { return true; }
  /// Scales the step to the minimum of the damped quadratic model along it, times `rate`.
  virtual bool rescales() const { return false; }
  /// With `rescales`: the model chooses the lengths of the step and of the last displacement together, which stands for
  /// momentum (Martens and Grosse 2015, section 7), for one product more. Two vectors and their products are held.
  virtual bool subspace() const { return false; }
  /// Of steps that nothing judges: false where momentum may carry one uphill on its batch.
  virtual bool must_descend() const { return true; }
  /// What follows from actual over predicted decrease. False when the next trial would be the same.
  virtual void adapt_accepted(double ratio) { damping_.accepted(ratio); }
  virtual bool adapt_rejected() { return damping_.rejected(); }

  Damping& damping() { return damping_; }
  const Damping& damping() const { return damping_; }
  const HsoOptions common_;
  const Curvature kind_;

 private:
  static constexpr double kNone = std::numeric_limits<double>::infinity();
  static constexpr double kParallel = 1e-6;  ///< of the determinant over the product of the diagonal
  static constexpr double kArmijo = 1e-2;    ///< sufficient decrease, as a share of what the slope promises

  void begin(Objective<T>& objective) final {
    other_ = Buffer<T>(objective.context(), n());
    for (Buffer<T>* b : {&pair_, &products_})
      if (subspace()) *b = Buffer<T>(objective.context(), 2 * n());
    moved_ = false;
    values_ = std::make_unique<QueuedNumbers>(objective.context(), 2);
    damping_ = Damping(common_);
  }
  Index numbers() const final { return 7; }
  int max_trials() const final { return common_.max_trials; }
  void visit_method(StateVisitor& state, Objective<T>* coming) final {
    damping_.visit_state(state);
    state("moved", moved_);
    if (subspace() && moved_) state("pair", pair_);
    const bool had_room = !fresh();
    bool now_fresh = fresh();
    state("fresh", now_fresh);
    this->prepared_ = !now_fresh;
    if (now_fresh) return;
    if (!had_room) make_form_room(*coming);
    state.part("form", [&] { visit_form(state); });
  }
  bool retry(Step<T>&) final { return judged() && adapt_rejected(); }
  std::string failure(const StepReport& report, const std::string& last) const final {
    return fmt::format("{} trials at loss {:.9g}, delta up to {:.3g}: {}", report.trials, report.loss_before,
                       damping_.delta(), last);
  }

  static double finite_or_none(double value) { return std::isfinite(value) ? value : kNone; }
  /// Queues the value at theta + step.
  void queue_value(Step<T>& s, const T* step) {
    ++s.values;
    s.objective.value_on_device(this->trial_at(s, step, 1), values_->take());
  }
  /// The value at theta + length step, infinite where it is not finite.
  double finite_value_at(Step<T>& s, const T* step, double length) {
    return finite_or_none(this->value_at(s, step, length));
  }
  /// Martens 2010, section 4.6: back through the iterates while the value falls. The first two are always looked at,
  /// and read together.
  double backtrack(Step<T>& s) {
    values_->start();
    queue_value(s, own_step());
    bool more = earlier(other_.data());
    if (more) queue_value(s, other_.data());
    values_->post();
    double value = finite_or_none(values_->values()[0]);
    double before = more ? finite_or_none(values_->values()[1]) : kNone;
    while (more && before < value) {
      value = before;
      this->swap_step(other_);
      queued_for_ = nullptr;
      more = earlier(other_.data());
      if (more) before = finite_value_at(s, other_.data(), 1);
    }
    return value;
  }

  struct Model {
    double slope, sAs;  ///< g's and s'As
    double square;      ///< s's
    double decrease() const { return -(slope + sAs / 2); }
  };
  Model model(Step<T>& s) {
    if (queued_for_ != own_step()) queue_model(s);
    queued_for_ = nullptr;
    const Span<const double> found = point().values();
    return {found[0], found[1], found[2]};
  }
  void queue_model(Step<T>& step) {
    if (!knows_product(other_.data())) {
      step.curvature->apply(vector_view<const T>(own_step(), n()), other_.view());
      ++step.report.products;
    }
    const T *g = gradient(), *s = own_step(), *as = other_.data();
    point().start();
    point().dot(ops(), n(), g, s);
    point().dot(ops(), n(), s, as);
    point().dot(ops(), n(), s, s);
    point().post();
    queued_for_ = s;
  }

  std::string move(Step<T>& s) final {
    StepReport& report = s.report;
    const double delta = damping_.delta(), eps_scale = damping_.eps_scale();
    if (!judged()) return take(s);
    queued_for_ = nullptr;
    if (ops().context().is_cuda() && !rescales()) queue_model(s);
    double whole = rescales() ? kNone : backtrack(s);
    const bool both = rescales() && subspace() && moved_;
    Model m = both ? plane(delta, s) : model(s);
    if (!std::isfinite(m.slope) || !std::isfinite(m.sAs)) return "the step is not finite";
    if (!(m.slope < 0)) return "the step does not descend";
    if (rescales()) {
      if (!both) rescale(delta, m);
      whole = finite_value_at(s, own_step(), 1);
    }
    const auto value_of = [&](double t) { return t == 1 ? whole : finite_value_at(s, own_step(), t); };
    const LinePoint found =
        halve(value_of, {0, report.loss_before, m.slope}, {.decrease = kArmijo, .evaluations = 1 + halvings()}).point;
    if (!(found.value < report.loss_before)) return fmt::format("the loss became {:.9g}", found.value);
    arrived(report);
    ops().axpby(n(), static_cast<T>(found.t), own_step(), T(1), s.theta);
    if (subspace()) ops().axpby(n(), static_cast<T>(found.t), own_step(), T(0), pair_.data() + n());
    moved_ = true;
    const double predicted = m.decrease(), ratio = (report.loss_before - whole) / predicted;
    report.loss_after = found.value;
    report.step_norm = found.t * std::sqrt(m.square);
    report.metrics.emplace_back("delta", delta);
    report.metrics.emplace_back("eps_scale", eps_scale);
    report.metrics.emplace_back("predicted_decrease", predicted);
    report.metrics.emplace_back("ratio", ratio);
    report.metrics.emplace_back("evaluations", std::int64_t{s.values});
    if (halvings() > 0) report.metrics.emplace_back("length", found.t);
    adapt_accepted(predicted > 0 ? ratio : 0);
    return {};
  }

  /// Of a step that nothing judges.
  std::string take(Step<T>& s) {
    point().start();
    point().dot(ops(), n(), gradient(), own_step());
    ops().norms_on_device(n(), own_step(), point().take(2));
    point().post();
    const double slope = point().values()[0], square = point().values()[1], largest = point().values()[2];
    if (!std::isfinite(slope) || !std::isfinite(largest)) return "the step is not finite";
    if (must_descend() && !(slope < 0)) return "the step does not descend";
    arrived(s.report);
    ops().axpby(n(), T(1), own_step(), T(1), s.theta);
    s.report.step_norm = std::sqrt(square);
    s.report.metrics.emplace_back("delta", damping_.delta());
    return {};
  }

  /// step := a p + b d at the minimum of the damped model, p the step and d the last displacement, times `rate`; along
  /// p alone where the two are all but parallel.
  Model plane(double delta, Step<T>& s) {
    T *p = pair_.data(), *d = p + n();
    ops().copy(n(), own_step(), p);
    s.curvature->apply(vector_view<const T>(p, n(), 2), vector_view(products_.data(), n(), 2));
    s.report.products += 2;
    point().start();
    ops().dots_on_device(2, n(), p, n(), gradient(), 0, point().take(2));
    ops().dots_on_device(2, n(), p, n(), products_.data(), n(), point().take(2));
    ops().dots_on_device(2, n(), p, n(), p, n(), point().take(2));
    point().dot(ops(), n(), p, products_.data() + n());
    point().dot(ops(), n(), p, d);
    point().post();
    const double* found = point().values().data();
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
    ops().copy(n(), p, own_step());
    ops().axpby(n(), static_cast<T>(b), d, static_cast<T>(a), own_step());
    s.report.metrics.emplace_back("momentum", b);
    return {a * slopes[0] + b * slopes[1], a * a * bends[0] + 2 * a * b * cross + b * b * bends[1],
            a * a * squares[0] + 2 * a * b * between + b * b * squares[1]};
  }

  void rescale(double delta, Model& m) {
    const double damped = m.sAs + delta * m.square;
    if (!(damped > 0)) return;
    const double length = common_.rate * -m.slope / damped;
    ops().axpby(n(), T(0), own_step(), static_cast<T>(length), own_step());
    m.slope *= length;
    m.sAs *= length * length;
    m.square *= length * length;
  }

  Damping damping_;
  Buffer<T> other_;
  Buffer<T> pair_, products_;  ///< subspace: the proposed step and the last displacement, and their products
  bool moved_ = false;         ///< there is a last displacement
  std::unique_ptr<QueuedNumbers> values_;  ///< the loss at two points that are tried
  const T* queued_for_ = nullptr;          ///< the step whose model is queued
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
