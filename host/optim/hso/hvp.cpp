// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/optim/hso.hpp"
#include "io/shown_text.hpp"
#include "optim/step/queued_descent.hpp"

namespace hso {
namespace detail {
namespace {

/// v = momentum v + (g + alpha H u), theta -= rate v.
template <class T>
class HvpCorrected final : public QueuedDescent<T> {
 public:
  explicit HvpCorrected(const HvpOptions& o) : QueuedDescent<T>("hvp"), o_(o), probe_(o.u), kind_(o.curvature) {
    require_option(o.rate > 0, "hvp", "rate", o.rate, "above 0");
    require_option(o.momentum >= 0 && o.momentum < 1, "hvp", "momentum", o.momentum, "in [0, 1)");
    if (probe_ == HvpProbe::velocity)
      require_option(o.momentum > 0, "hvp", "momentum", o.momentum, "above 0 when u = velocity");
  }

 private:
  Index vectors() const override { return 5; }
  void begin(Objective<T>& objective) override {
    for (Buffer<T>* b : {&velocity_, &u_, &corrected_, &product_})
      *b = Buffer<T>(objective.context(), objective.dimension());
    share_ = 0;
    alpha_ = o_.alpha;
    objective.context().template ops<T>().fill(velocity_.size(), T(0), velocity_.data());
  }

  void visit_own(StateVisitor& state) override {
    state("velocity", velocity_);
    state("alpha", alpha_);
    state("share", share_);
  }

  /// `stream`, of random numbers, in device memory.
  const T* probe(Ops<T>& ops, const T* gradient, const double* stream) {
    const Index n = u_.size();
    if (probe_ == HvpProbe::gradient) return gradient;
    if (probe_ == HvpProbe::velocity) return velocity_.data();
    if (probe_ == HvpProbe::ones)
      ops.fill(n, T(1), u_.data());
    else
      ops.for_each(1, n, RandomFillAt<T>{{u_.data(), o_.seed, 0, Distribution::rademacher, 0.0, 1.0}, stream});
    return u_.data();
  }

  // With a fixed alpha, on a network whose rows fit one micro-batch: launches alone.

  Queueing announce_gradient(Objective<T>& objective, std::vector<std::uintptr_t>& key) override {
    const bool fixed = !o_.adaptive && objective.announce_gradient(key, 1, kind_);
    return fixed ? Queueing::recorded : Queueing::host;
  }
  /// The coming step is counted as taken.
  void add_numbers(std::vector<double>& numbers) const override {
    numbers.push_back(static_cast<double>(this->taken() - 1));
  }
  void form(Objective<T>& objective, const T*, const T* g, T* step, DevicePlaces& at) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    const T* u = probe(ops, g, at.numbers(1));
    objective.product_on_device(kind_, u, product_.data());
    double* dots = at.results(3);
    ops.dots_on_device(1, n, u, n, u, n, dots);
    ops.dots_on_device(1, n, u, n, product_.data(), n, dots + 1);
    ops.dots_on_device(1, n, product_.data(), n, product_.data(), n, dots + 2);
    correct(ops, g, step);
  }
  void tell(StepPlaces<const double>& from, StepReport* report) const override {
    const double* dots = from.results(3);
    if (report != nullptr) tell(dots[0] > 0 ? dots[1] / dots[0] : 0, std::sqrt(dots[2]), *report);
  }
  void tell(double along, double product_norm, StepReport& report) const {
    report.products = 1;
    report.metrics.emplace_back("alpha", alpha_);
    report.metrics.emplace_back("curvature_along_u", along);
    report.metrics.emplace_back("correction_norm", alpha_ * product_norm);
  }

  void correct(Ops<T>& ops, const T* gradient, T* step) {
    const Index n = velocity_.size();
    ops.copy(n, gradient, corrected_.data());
    ops.axpby(n, static_cast<T>(alpha_), product_.data(), T(1), corrected_.data());
    ops.axpby(n, static_cast<T>(-o_.rate), corrected_.data(), T(0), step);
    ops.axpby(n, static_cast<T>(-o_.rate * o_.momentum), velocity_.data(), T(1), step);
  }
  void commit_under(Ops<T>& ops, const std::uint64_t* go) override {
    axpby_under(ops, go, velocity_.size(), static_cast<T>(-1 / o_.rate), this->own_step(), T(0), velocity_.data());
  }

  // Otherwise, and where alpha adapts, the host decides.

  double evaluate(Objective<T>& objective, const T* theta, T* gradient) override {
    operator_.reset();  // its vector serves the next one
    auto [value, curvature] = objective.linearize(theta, gradient, kind_);
    operator_ = std::move(curvature);
    theta_ = theta;
    return value;
  }

  void propose(Objective<T>& objective, const T* gradient, T* step, StepReport& report) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    DevicePlaces at = this->decide_now(objective.context(), {static_cast<double>(this->taken())});
    const T* u = probe(ops, gradient, at.numbers(1));
    operator_->apply(vector_view(u, n), product_.view());
    const double along = curvature_along(ops, u);
    if (o_.adaptive) alpha_ = alpha_at(along);
    correct(ops, gradient, step);
    tell(along, ops.nrm2(n, product_.data()), report);
    if (o_.adaptive) judge(objective, gradient, step, report);
  }

  /// +-t / (2 |c|); the first t is what makes the user's alpha of it.
  double alpha_at(double c) {
    if (c == 0 || !std::isfinite(c) || o_.alpha == 0) return alpha_;
    if (share_ == 0) share_ = std::min(1.0, 2 * std::abs(c * o_.alpha));
    return std::copysign(share_ / (2 * std::abs(c)), o_.alpha);
  }

  /// The share of the next step, from actual over predicted decrease of this one: on the same batch, before theta
  /// moves.
  void judge(Objective<T>& objective, const T* gradient, const T* step, StepReport& report) {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    operator_->apply(vector_view(step, n), product_.view());
    ++report.products;
    const double predicted = -(ops.dot(n, gradient, step) + 0.5 * ops.dot(n, step, product_.data()));
    ops.copy(n, theta_, corrected_.data());
    ops.axpby(n, T(1), step, T(1), corrected_.data());
    report.loss_after = objective.value(corrected_.data());
    report.trials = 1;
    if (!std::isfinite(report.loss_after)) {
      report.message = fmt::format("the loss would become {}", unsigned_nan(report.loss_after));
      report.status = StepStatus::not_finite;
      report.loss_after = report.loss_before;
      share_ /= 4;
      return;
    }
    const double ratio = predicted > 0 ? (report.loss_before - report.loss_after) / predicted : 0;
    next_share_ = ratio > 0.75 ? std::min(1.0, 2 * share_) : ratio >= 0.25 ? share_ : share_ / 4;
    report.metrics.emplace_back("ratio", ratio);
  }
  void commit(Ops<T>& ops) override {
    QueuedDescent<T>::commit(ops);
    if (o_.adaptive) share_ = next_share_;
  }

  /// u'Hu / u'u
  double curvature_along(Ops<T>& ops, const T* u) const {
    const double uu = ops.dot(u_.size(), u, u);
    return uu > 0 ? ops.dot(u_.size(), u, product_.data()) / uu : 0;
  }

  HvpOptions o_;
  HvpProbe probe_;
  Curvature kind_;
  Buffer<T> velocity_, u_, corrected_, product_;
  std::unique_ptr<LinearOperator<T>> operator_;
  double alpha_ = 0;                   ///< in use
  double share_ = 0, next_share_ = 0;  ///< t of the header; 0: not known yet
  const T* theta_ = nullptr;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_hvp(const HvpOptions& options) {
  return std::make_unique<detail::HvpCorrected<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_hvp(const HvpOptions&);
template std::unique_ptr<Optimizer<double>> make_hvp(const HvpOptions&);

}  // namespace hso
