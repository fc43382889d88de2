// SPDX-License-Identifier: Apache-2.0
//
// HSO from rank-one updates: an inverse that every step's gradient adds to, a descent check, and a length by halving.
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "optim/hso/rank_one.hpp"
#include "optim/step/judged_step.hpp"
#include "optim/step/line_search.hpp"

namespace hso {
namespace detail {
namespace {

constexpr const char* kName = "hso.rank1";

void check_options(const HsoRank1Options& o) {
  const bool outer = o.kind == RankOneKind::outer;
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
class RankOne final : public JudgedStep<T> {
 public:
  explicit RankOne(const HsoRank1Options& o) : JudgedStep<T>(kName), o_(o) { check_options(o); }
  bool full_batch() const override { return o_.kind == RankOneKind::sr1; }
  bool dense() const override { return o_.memory == 0; }

 private:
  using JudgedStep<T>::n;
  using JudgedStep<T>::ops;
  using JudgedStep<T>::gradient;
  using JudgedStep<T>::own_step;

  Index vectors() const override { return 8 + 4 * Index{o_.memory}; }
  void begin(Objective<T>& objective) override {
    Context& context = objective.context();
    inverse_ =
        o_.kind == RankOneKind::outer ? make_outer_inverse<T>(context, n(), o_) : make_sr1_inverse<T>(context, n(), o_);
    for (Buffer<T>* b : {&old_gradient_, &old_theta_}) *b = Buffer<T>(context, n());
    started_ = false;
  }
  void visit_method(StateVisitor& state, Objective<T>*) override {
    state("learned", started_);
    state("gradient", old_gradient_);
    state("theta", old_theta_);
    state.part("inverse", [&] { inverse_->visit_state(state); });
  }

  std::string propose(Step<T>& s) override {
    learn(s);
    slope_ = choose_direction();
    const bool fallback = !descends(slope_);
    if (fallback) slope_ = gradient_direction(s.report);
    s.report.metrics.emplace_back("fallback", fallback);
    return {};
  }

  /// s and y are taken from the points themselves, so that they belong together whoever moved theta.
  void learn(Step<T>& at) {
    T *s = own_step(), *y = this->trial();
    if (started_) {
      difference(at.theta, old_theta_.data(), s);
      difference(gradient(), old_gradient_.data(), y);
    }
    const bool taken = inverse_->take(gradient(), started_ ? s : nullptr, started_ ? y : nullptr);
    at.report.metrics.emplace_back("skipped", !taken);
    ops().copy(n(), at.theta, old_theta_.data());
    ops().copy(n(), gradient(), old_gradient_.data());
    started_ = true;
  }
  void difference(const T* a, const T* b, T* out) {
    ops().copy(n(), a, out);
    ops().axpby(n(), T(-1), b, T(1), out);
  }

  /// step = -rate (B + eps I) g; returns g'step.
  double choose_direction() {
    inverse_->apply(gradient(), own_step());
    ops().axpby(n(), static_cast<T>(-o_.rate * o_.eps), gradient(), static_cast<T>(-o_.rate), own_step());
    return ops().dot(n(), gradient(), own_step());
  }
  bool descends(double slope) {
    return std::isfinite(slope) && slope < -1e-12 * ops().nrm2(n(), gradient()) * ops().nrm2(n(), own_step());
  }
  double gradient_direction(StepReport& report) {
    inverse_->restart();
    report.message =
        fmt::format("{}: the inverse gave no direction of descent and starts anew; a gradient step", kName);
    ops().axpby(n(), static_cast<T>(-o_.rate / report.gradient_norm), gradient(), T(0), own_step());
    return -o_.rate * report.gradient_norm;
  }

  std::string move(Step<T>& s) override {
    const LineSearchResult found =
        halve([&](double t) { return this->value_at(s, own_step(), t); }, {0, s.report.loss_before, slope_},
              {.decrease = o_.decrease, .evaluations = o_.max_trials});
    s.report.trials = found.evaluations;
    if (found.status != LineSearchStatus::satisfied)
      return fmt::format("no length down to {:.3g} lowered the loss {:.9g} enough", found.point.t,
                         s.report.loss_before);
    ops().copy(n(), this->trial(), s.theta);
    s.report.loss_after = found.point.value;
    s.report.step_norm = found.point.t * ops().nrm2(n(), own_step());
    s.report.metrics.emplace_back("length", found.point.t);
    return {};
  }

  HsoRank1Options o_;
  std::unique_ptr<RankOneInverse<T>> inverse_;
  bool started_ = false;
  double slope_ = 0;  ///< g'step
  Buffer<T> old_gradient_, old_theta_;
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
