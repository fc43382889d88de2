// SPDX-License-Identifier: Apache-2.0
//
// HSO from rank-one updates: an inverse that every step's gradient adds to, a descent check, and a length by halving.
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "io/shown_text.hpp"
#include "optim/hso/rank_one.hpp"
#include "optim/step/descent.hpp"

namespace hso {
namespace detail {
namespace {

constexpr const char* kName = "hso.rank1";

void check_options(const HsoRank1Options& o) {
  if (o.kind != "outer" && o.kind != "sr1")
    throw UsageError(fmt::format("optimizer {}: kind = '{}', expected outer or sr1", kName, o.kind));
  const bool outer = o.kind == "outer";
  require_option(o.rate > 0, kName, "rate", o.rate, "above 0");
  require_option(o.memory >= 0, kName, "memory", o.memory, "0 (dense) or above");
  require_option(outer ? o.delta > 0 : o.delta >= 0, kName, "delta", o.delta, outer ? "above 0" : "0 or above");
  require_option(o.decay > 0 && o.decay <= 1, kName, "decay", o.decay, "in (0, 1]");
  require_option(o.decay == 1 || o.memory > 0, kName, "decay", o.decay, "1 where memory = 0 (dense)");
  require_option(o.skip >= 0 && o.skip < 1, kName, "skip", o.skip, "in [0, 1)");
  require_option(o.eps >= 0, kName, "eps", o.eps, "0 or above");
  require_option(o.decrease > 0 && o.decrease < 1, kName, "decrease", o.decrease, "in (0, 1)");
  require_option(o.max_trials >= 1, kName, "max_trials", o.max_trials, "at least 1");
}

template <class T>
class RankOne final : public Optimizer<T> {
 public:
  explicit RankOne(const HsoRank1Options& o) : o_(o) { check_options(o); }
  const std::string& name() const override {
    static const std::string name = kName;
    return name;
  }
  bool full_batch() const override { return o_.kind == "sr1"; }
  bool dense() const override { return o_.memory == 0; }
  Index bytes(Context&, const ParameterLayout& layout) const override {
    return checked_multiply((10 + 4 * Index{o_.memory}) * static_cast<Index>(sizeof(T)), layout.n);
  }

  void visit_state(StateVisitor& state, Objective<T>* coming) override {
    if (!state.started(n_ >= 0)) {
      n_ = -1;
      return;
    }
    if (state.reads()) make_room(*coming);
    state("learned", started_);
    state("gradient", old_gradient_);
    state("theta", old_theta_);
    state.part("inverse", [&] { inverse_->visit_state(state); });
  }

  StepReport step(Objective<T>& objective, T* theta) override {
    make_room(objective);
    StepReport report;
    report.trials = 0;
    report.loss_before = report.loss_after = objective.gradient(theta, gradient_.data());
    report.gradient_norm = ops_->nrm2(n_, gradient_.data());
    if (!std::isfinite(report.loss_before) || !std::isfinite(report.gradient_norm))
      return refuse(report, StepStatus::not_finite,
                    fmt::format("loss {} or its gradient is not finite", unsigned_nan(report.loss_before)));
    if (report.gradient_norm == 0) return refuse(report, StepStatus::rejected, "the gradient is zero");
    learn(theta, report);
    double slope = direction();
    const bool fallback = !descends(slope);
    if (fallback) slope = gradient_direction(report);
    report.metrics.emplace_back("fallback", fallback);
    search(objective, theta, slope, report);
    return report;
  }

 private:
  static StepReport refuse(StepReport& report, StepStatus status, const std::string& why) {
    report.status = status;
    report.message = fmt::format("{}: {}; parameters unchanged", kName, why);
    return report;
  }

  void make_room(Objective<T>& objective) {
    if (n_ == objective.dimension() && ops_ == &objective.context().template ops<T>()) return;
    Context& context = objective.context();
    const Index n = objective.dimension();
    inverse_ = o_.kind == "outer" ? make_outer_inverse<T>(context, n, o_) : make_sr1_inverse<T>(context, n, o_);
    for (Buffer<T>* b : {&gradient_, &old_gradient_, &old_theta_, &step_, &trial_}) *b = Buffer<T>(context, n);
    n_ = n;
    ops_ = &context.template ops<T>();
    started_ = false;
  }

  /// s and y are taken from the points themselves, so that they belong together whoever moved theta.
  void learn(const T* theta, StepReport& report) {
    T *s = step_.data(), *y = trial_.data();
    if (started_) {
      difference(theta, old_theta_.data(), s);
      difference(gradient_.data(), old_gradient_.data(), y);
    }
    const bool taken = inverse_->take(gradient_.data(), started_ ? s : nullptr, started_ ? y : nullptr);
    report.metrics.emplace_back("skipped", !taken);
    ops_->copy(n_, theta, old_theta_.data());
    ops_->copy(n_, gradient_.data(), old_gradient_.data());
    started_ = true;
  }
  void difference(const T* a, const T* b, T* out) {
    ops_->copy(n_, a, out);
    ops_->axpby(n_, T(-1), b, T(1), out);
  }

  /// step = -rate (B + eps I) g; returns g'step.
  double direction() {
    inverse_->apply(gradient_.data(), step_.data());
    ops_->axpby(n_, static_cast<T>(-o_.rate * o_.eps), gradient_.data(), static_cast<T>(-o_.rate), step_.data());
    return ops_->dot(n_, gradient_.data(), step_.data());
  }
  bool descends(double slope) const {
    return std::isfinite(slope) && slope < -1e-12 * ops_->nrm2(n_, gradient_.data()) * ops_->nrm2(n_, step_.data());
  }
  double gradient_direction(StepReport& report) {
    inverse_->restart();
    report.message =
        fmt::format("{}: the inverse gave no direction of descent and starts anew; a gradient step", kName);
    ops_->axpby(n_, static_cast<T>(-o_.rate / report.gradient_norm), gradient_.data(), T(0), step_.data());
    return -o_.rate * report.gradient_norm;
  }

  void search(Objective<T>& objective, T* theta, double slope, StepReport& report) {
    double length = 1;
    for (; report.trials < o_.max_trials; length /= 2) {
      ++report.trials;
      ops_->copy(n_, theta, trial_.data());
      ops_->axpby(n_, static_cast<T>(length), step_.data(), T(1), trial_.data());
      const double value = objective.value(trial_.data());
      if (!std::isfinite(value) || !(value <= report.loss_before + o_.decrease * length * slope) ||
          !(value < report.loss_before))
        continue;
      ops_->copy(n_, trial_.data(), theta);
      report.loss_after = value;
      report.step_norm = length * ops_->nrm2(n_, step_.data());
      report.metrics.emplace_back("length", length);
      return;
    }
    refuse(report, StepStatus::rejected,
           fmt::format("no length down to {:.3g} lowered the loss {:.9g} enough", 2 * length, report.loss_before));
  }

  HsoRank1Options o_;
  Index n_ = -1;
  Ops<T>* ops_ = nullptr;
  std::unique_ptr<RankOneInverse<T>> inverse_;
  bool started_ = false;
  Buffer<T> gradient_, old_gradient_, old_theta_, step_, trial_;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hso_rank1(const HsoRank1Options& options) {
  return std::make_unique<detail::RankOne<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_hso_rank1(const HsoRank1Options&);
template std::unique_ptr<Optimizer<double>> make_hso_rank1(const HsoRank1Options&);

}  // namespace hso
