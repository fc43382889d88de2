// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "hsogpu/optim/preconditioned.hpp"
#include "objective/running_factors.hpp"
#include "optim/preconditioned/axis_numbers.hpp"
#include "optim/preconditioned/slices.hpp"
#include "optim/step/queued_descent.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Kfac final : public QueuedDescent<T> {
 public:
  Kfac(const char* name, bool corrected, const KfacOptions& o)
      : QueuedDescent<T>(name), o_(o), corrected_(corrected), source_(o.factors) {
    require_option(o.rate > 0, name, "rate", o.rate, "above 0");
    require_option(o.momentum >= 0 && o.momentum < 1, name, "momentum", o.momentum, "in [0, 1)");
    require_option(o.delta > 0, name, "delta", o.delta, "above 0");
    require_option(o.decay >= 0 && o.decay < 1, name, "decay", o.decay, "in [0, 1)");
    require_option(o.kl_clip >= 0, name, "kl_clip", o.kl_clip, "0 (none) or above");
    require_option(o.factor_every >= 1, name, "factor_every", o.factor_every, "at least 1");
    require_option(o.inverse_every >= 1, name, "inverse_every", o.inverse_every, "at least 1");
    if (source_ != Curvature::ggn && source_ != Curvature::fisher_mc && source_ != Curvature::fisher_empirical)
      throw UsageError(std::string("optimizer ") + name + ": factors = '" + name_of(o.factors) +
                       "', expected fisher_mc, fisher_empirical or ggn");
  }
  /// Factors and their inverses or eigenvectors, twice for a step back, and room to form them.
  Index bytes(Context& context, const ParameterLayout& layout) const override {
    constexpr Index kSums = Index{16} << 20;  // of a chunk of the rows that are summed to factors
    return Descent<T>::bytes(context, layout) + kSums +
           checked_multiply(5 * axis_numbers(layout, INT64_MAX, false, true), static_cast<Index>(sizeof(T)));
  }

 private:
  MicroBatches<T>& micro_batches_of(Objective<T>& objective) const {
    if (auto* network = objective.network()) return network->micro_batches();
    throw UsageError(this->name() + ": this objective has no layers to factor; use shampoo, soap or adahessian");
  }
  void begin(Objective<T>& objective) override {
    running_.reset();
    running_ = std::make_unique<RunningFactors<T>>(micro_batches_of(objective), source_);
    ball_.start(objective.context(), objective.dimension());
    updates_ = 0;
  }
  void visit_own(StateVisitor& state) override {
    state("updates", updates_);
    ball_.visit_state(state);
    state.part("factors", [&] { running_->visit_state(state); });
  }
  bool factors_due() const { return this->proposals() % o_.factor_every == 0; }
  bool inverse_due() const { return this->proposals() % o_.inverse_every == 0; }

  /// The host takes the steps that refresh factors or inverses; those between are launches alone.
  Queueing announce_gradient(Objective<T>& objective, std::vector<std::uintptr_t>& key) override {
    if (!running_->belongs_to(micro_batches_of(objective))) this->start(objective);
    if (factors_due() || inverse_due()) return Queueing::host;
    return QueuedDescent<T>::announce_gradient(objective, key);
  }
  double evaluate(Objective<T>& objective, const T* theta, T* gradient) override {
    MicroBatches<T>& batches = micro_batches_of(objective);
    theta_ = theta;
    if (!factors_due()) return objective.gradient(theta, gradient);
    return objective.finish_gradient(theta, running_->gradient(batches, theta, gradient, draw()), gradient);
  }
  /// Every update of the factors has targets of its own.
  std::uint64_t draw() const { return static_cast<std::uint64_t>(updates_) << 16; }

  void propose(Objective<T>& objective, const T* g, T* step, StepReport& report) override {
    if (report.message = refresh(micro_batches_of(objective)); !report.message.empty())
      report.status = StepStatus::singular;
    else
      this->form_now(objective, theta_, g, step, report);
  }
  void form(Objective<T>& objective, const T*, const T* g, T* step, DevicePlaces& at) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    const double delta = o_.delta + micro_batches_of(objective).options.weight_decay;
    corrected_ ? running_->apply_corrected(g, delta, step) : running_->apply_inverse(g, step);
    double *along = at.results(1), *clip = at.results(1);
    ops.dots_on_device(1, n, g, n, step, n, along);
    ops.for_each(1, 1, TrustFactor<T>{along, o_.rate, o_.kl_clip, clip});
    ops.for_each(1, n, ScaleBy<T>{clip, step});
    ball_.propose(ops, o_.rate, o_.momentum, step);
  }
  void tell(StepPlaces<const double>& from, StepReport* report) const override {
    from.results(1);
    const double clip = *from.results(1);
    if (report != nullptr) report->metrics.emplace_back("clip", clip);
  }
  void commit_under(Ops<T>& ops, const std::uint64_t* go) override { ball_.commit_under(ops, go); }

  /// What is due in this step; says why there is no inverse.
  std::string refresh(MicroBatches<T>& batches) {
    const bool fresh = factors_due();
    const std::uint64_t targets = draw();
    if (fresh) {
      running_->average(std::min(1 - 1 / static_cast<double>(updates_ + 1), o_.decay));
      ++updates_;
    }
    if (!corrected_) return inverse_due() ? running_->invert(o_.delta + batches.options.weight_decay) : std::string{};
    if (inverse_due())
      if (std::string why = running_->decompose(); !why.empty()) return why;
    // In a new basis the old moments mean nothing.
    if (fresh || inverse_due()) running_->correct(batches, theta_, targets, inverse_due() ? 0 : o_.decay);
    return {};
  }

  KfacOptions o_;
  bool corrected_;
  Curvature source_;
  std::unique_ptr<RunningFactors<T>> running_;
  HeavyBall<T> ball_;
  const T* theta_ = nullptr;
  int updates_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_kfac(const KfacOptions& options) {
  return std::make_unique<detail::Kfac<T>>("kfac", false, options);
}
template <class T>
std::unique_ptr<Optimizer<T>> make_ekfac(const KfacOptions& options) {
  return std::make_unique<detail::Kfac<T>>("ekfac", true, options);
}

template std::unique_ptr<Optimizer<float>> make_kfac(const KfacOptions&);
template std::unique_ptr<Optimizer<double>> make_kfac(const KfacOptions&);
template std::unique_ptr<Optimizer<float>> make_ekfac(const KfacOptions&);
template std::unique_ptr<Optimizer<double>> make_ekfac(const KfacOptions&);

}  // namespace hso
