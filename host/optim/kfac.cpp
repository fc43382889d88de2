// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "curvature/running_factors.hpp"
#include "hsogpu/error.hpp"
#include "hsogpu/objective_around.hpp"
#include "hsogpu/preconditioned_methods.hpp"
#include "optim/axis_numbers.hpp"
#include "optim/descent.hpp"
#include "optim/slices.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Kfac final : public Descent<T> {
 public:
  Kfac(const char* name, bool corrected, const KfacOptions& o)
      : Descent<T>(name), o_(o), corrected_(corrected), source_(parse_curvature(o.factors)) {
    require_option(o.rate > 0, name, "rate", o.rate, "above 0");
    require_option(o.momentum >= 0 && o.momentum < 1, name, "momentum", o.momentum, "in [0, 1)");
    require_option(o.delta > 0, name, "delta", o.delta, "above 0");
    require_option(o.decay >= 0 && o.decay < 1, name, "decay", o.decay, "in [0, 1)");
    require_option(o.kl_clip >= 0, name, "kl_clip", o.kl_clip, "0 (none) or above");
    require_option(o.factor_every >= 1, name, "factor_every", o.factor_every, "at least 1");
    require_option(o.inverse_every >= 1, name, "inverse_every", o.inverse_every, "at least 1");
    if (source_ != Curvature::ggn && source_ != Curvature::fisher_mc && source_ != Curvature::fisher_empirical)
      throw UsageError(std::string("optimizer ") + name + ": factors = '" + o.factors +
                       "', expected fisher_mc, fisher_empirical or ggn");
  }
  /// Factors, their inverses or eigenvectors, and room to form them.
  Index bytes(Context& context, const ParameterLayout& layout) const override {
    constexpr Index kSums = Index{16} << 20;  // of a chunk of the rows that are summed to factors
    return Descent<T>::bytes(context, layout) + kSums +
           checked_multiply(3 * axis_numbers(layout, INT64_MAX, false, true), static_cast<Index>(sizeof(T)));
  }

 private:
  NetworkPieces<T>& pieces_of(Objective<T>& objective) const {
    if (auto* network = network_inside(objective)) return network->pieces();
    throw UsageError(this->name() + ": this objective has no layers to factor; use shampoo, soap or adahessian");
  }
  void start(Objective<T>& objective) override {
    running_.reset();
    running_ = std::make_unique<RunningFactors<T>>(pieces_of(objective), source_);
    ball_.start(objective.context(), objective.dimension());
    steps_ = 0;
    updates_ = 0;
  }
  bool factors_due() const { return steps_ % o_.factor_every == 0; }
  bool inverse_due() const { return steps_ % o_.inverse_every == 0; }

  double evaluate(Objective<T>& objective, const T* theta, T* gradient) override {
    NetworkPieces<T>& pieces = pieces_of(objective);
    if (!running_->belongs_to(pieces)) start(objective);
    theta_ = theta;
    if (!factors_due()) return objective.gradient(theta, gradient);
    return finish_gradient(objective, theta, running_->gradient(pieces, theta, gradient, draw()), gradient);
  }
  /// Every update of the factors has targets of its own.
  std::uint64_t draw() const { return static_cast<std::uint64_t>(updates_) << 16; }

  void propose(Objective<T>& objective, const T* g, T* step, StepReport& report) override {
    auto& ops = objective.context().template ops<T>();
    NetworkPieces<T>& pieces = pieces_of(objective);
    if (report.message = refresh(pieces); !report.message.empty()) {
      report.status = StepStatus::singular;
      return;
    }
    ++steps_;
    const double delta = o_.delta + pieces.options.weight_decay;
    corrected_ ? running_->apply_corrected(g, delta, step) : running_->apply_inverse(g, step);
    const double along = ops.dot(objective.dimension(), g, step);
    const double clip = trust(along);
    if (clip != 1) ops.axpby(objective.dimension(), T(0), step, static_cast<T>(clip), step);
    report.metrics.emplace_back("clip", clip);
    ball_.propose(ops, o_.rate, o_.momentum, step);
  }
  void commit(Ops<T>& ops) override { ball_.commit(ops); }

  /// What is due in this step; says why there is no inverse.
  std::string refresh(NetworkPieces<T>& pieces) {
    const bool fresh = factors_due();
    const std::uint64_t targets = draw();
    if (fresh) {
      running_->average(std::min(1 - 1 / static_cast<double>(updates_ + 1), o_.decay));
      ++updates_;
    }
    if (!corrected_) return inverse_due() ? running_->invert(o_.delta + pieces.options.weight_decay) : std::string{};
    if (inverse_due())
      if (std::string why = running_->decompose(); !why.empty()) return why;
    // In a new basis the old moments mean nothing.
    if (fresh || inverse_due()) running_->correct(pieces, theta_, targets, inverse_due() ? 0 : o_.decay);
    return {};
  }
  double trust(double along) const {
    const double size = o_.rate * o_.rate * std::fabs(along);
    return o_.kl_clip > 0 && size > o_.kl_clip ? std::sqrt(o_.kl_clip / size) : 1;
  }

  KfacOptions o_;
  bool corrected_;
  Curvature source_;
  std::unique_ptr<RunningFactors<T>> running_;
  HeavyBall<T> ball_;
  const T* theta_ = nullptr;
  int steps_ = 0, updates_ = 0;
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
