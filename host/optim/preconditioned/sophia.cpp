// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "hsogpu/core/error.hpp"
#include "hsogpu/objective/network_objective.hpp"
#include "hsogpu/optim/preconditioned.hpp"
#include "objective/network_curvature.hpp"
#include "optim/preconditioned/slices.hpp"
#include "optim/step/descent.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Sophia final : public Descent<T> {
 public:
  explicit Sophia(const SophiaOptions& o)
      : Descent<T>("sophia"), o_(o), gnb_(o.estimator == DiagonalEstimator::gnb), kind_(o.curvature) {
    require_option(o.rate > 0, "sophia", "rate", o.rate, "above 0");
    require_option(o.beta1 >= 0 && o.beta1 < 1, "sophia", "beta1", o.beta1, "in [0, 1)");
    require_option(o.beta2 >= 0 && o.beta2 < 1, "sophia", "beta2", o.beta2, "in [0, 1)");
    require_option(o.gamma > 0, "sophia", "gamma", o.gamma, "above 0");
    require_option(o.epsilon > 0, "sophia", "epsilon", o.epsilon, "above 0");
    require_option(o.refresh >= 1, "sophia", "refresh", o.refresh, "at least 1");
  }

 private:
  void start(Objective<T>& objective) override {
    for (Buffer<T>* b : {&mean_, &average_, &diagonal_, &probe_})
      *b = zeros<T>(objective.context(), objective.dimension());
    steps_ = 0;
  }
  void visit_method(StateVisitor& state, Objective<T>*) override {
    state("steps", steps_);
    state("mean", mean_);
    state("average", average_);
  }
  bool due() const { return steps_ % o_.refresh == 0; }

  double evaluate(Objective<T>& objective, const T* theta, T* gradient) override {
    theta_ = theta;
    if (gnb_ || !due()) return objective.gradient(theta, gradient);
    operator_.reset();  // its vector serves the next one
    auto [value, curvature] = objective.linearize(theta, gradient, kind_);
    operator_ = std::move(curvature);
    return value;
  }

  void propose(Objective<T>& objective, const T* g, T* step, StepReport& report) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = mean_.size();
    if (due()) {
      gnb_ ? square_gradients(objective) : multiply_probe(ops);
      if (!std::isfinite(ops.max_abs(n, diagonal_.data()))) {
        report.status = StepStatus::not_finite;
        report.message = "the diagonal of the curvature is not finite";
        return;
      }
      ops.axpby(n, static_cast<T>(1 - o_.beta2), diagonal_.data(), static_cast<T>(o_.beta2), average_.data());
      report.products = gnb_ ? 0 : 1;
    }
    ++steps_;
    ops.axpby(n, static_cast<T>(1 - o_.beta1), g, static_cast<T>(o_.beta1), mean_.data());
    ops.for_each(1, n,
                 SophiaStep<T>{mean_.data(), average_.data(), step, static_cast<T>(o_.rate), static_cast<T>(o_.gamma),
                               static_cast<T>(o_.epsilon)});
  }

  /// diagonal = u o Au, u normal.
  void multiply_probe(Ops<T>& ops) {
    const Index n = probe_.size();
    ops.for_each(1, n, RandomFill<T>{probe_.data(), o_.seed, std::uint64_t(steps_), Distribution::normal, 0.0, 1.0});
    operator_->apply(vector_view<const T>(probe_.data(), n), diagonal_.view());
    ops.for_each(1, n, Scale<T>{probe_.data(), diagonal_.data(), n, diagonal_.data(), n, false});
  }
  void square_gradients(Objective<T>& objective) {
    auto* network = objective.network();
    if (network == nullptr)
      throw UsageError("optimizer sophia: estimator = 'gnb' needs a network's outputs; use hutchinson");
    exact_diagonal_of<T>(network->micro_batches(), theta_, Curvature::fisher_mc, diagonal_.data(),
                         o_.seed + static_cast<std::uint64_t>(steps_));
  }

  SophiaOptions o_;
  bool gnb_;
  Curvature kind_;
  Buffer<T> mean_, average_, diagonal_, probe_;
  std::unique_ptr<LinearOperator<T>> operator_;
  const T* theta_ = nullptr;
  int steps_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_sophia(const SophiaOptions& options) {
  return std::make_unique<detail::Sophia<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_sophia(const SophiaOptions&);
template std::unique_ptr<Optimizer<double>> make_sophia(const SophiaOptions&);

}  // namespace hso
