// SPDX-License-Identifier: Apache-2.0
//
// sgd, momentum, nesterov.
#include "hsogpu/optim/first_order.hpp"
#include "optim/step/queued_descent.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Sgd final : public QueuedDescent<T> {
 public:
  explicit Sgd(const SgdOptions& o) : QueuedDescent<T>("sgd"), o_(o) {
    require_option(o.rate > 0, "sgd", "rate", o.rate, "above 0");
  }

 private:
  Index vectors() const override { return 0; }
  void visit_own(StateVisitor&) override {}
  void form(Objective<T>& objective, const T*, const T* g, T* step, DevicePlaces&) override {
    objective.context().template ops<T>().axpby(objective.dimension(), static_cast<T>(-o_.rate), g, T(0), step);
  }
  SgdOptions o_;
};

/// momentum, and nesterov, which looks `ahead`.
template <class T>
class Momentum final : public QueuedDescent<T> {
 public:
  Momentum(const char* name, bool ahead, const MomentumOptions& o) : QueuedDescent<T>(name), o_(o), ahead_(ahead) {
    require_option(o.rate > 0, name, "rate", o.rate, "above 0");
    require_option(o.momentum >= 0 && o.momentum < 1, name, "momentum", o.momentum, "in [0, 1)");
  }

 private:
  Index vectors() const override { return 2; }
  void visit_own(StateVisitor& state) override { state("velocity", velocity_); }
  void begin(Objective<T>& objective) override {
    velocity_ = Buffer<T>(objective.context(), objective.dimension());
    objective.context().template ops<T>().fill(objective.dimension(), T(0), velocity_.data());
  }
  /// -rate (g + mu v), or ahead -rate (g + mu (mu v + g))
  void form(Objective<T>& objective, const T*, const T* g, T* step, DevicePlaces&) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    const double mu = o_.momentum;
    ops.axpby(n, static_cast<T>(ahead_ ? -o_.rate * (1 + mu) : -o_.rate), g, T(0), step);
    ops.axpby(n, static_cast<T>(ahead_ ? -o_.rate * mu * mu : -o_.rate * mu), velocity_.data(), T(1), step);
  }
  /// v := mu v + g, which without looking ahead is the step.
  void commit_under(Ops<T>& ops, const std::uint64_t* go) override {
    const T* from = ahead_ ? this->gradient() : this->own_step();
    const double a = ahead_ ? 1 : -1 / o_.rate, b = ahead_ ? o_.momentum : 0;
    axpby_under(ops, go, velocity_.size(), static_cast<T>(a), from, static_cast<T>(b), velocity_.data());
  }
  MomentumOptions o_;
  bool ahead_;
  Buffer<T> velocity_;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_sgd(const SgdOptions& options) {
  return std::make_unique<detail::Sgd<T>>(options);
}
template <class T>
std::unique_ptr<Optimizer<T>> make_momentum(const MomentumOptions& options) {
  return std::make_unique<detail::Momentum<T>>("momentum", false, options);
}
template <class T>
std::unique_ptr<Optimizer<T>> make_nesterov(const MomentumOptions& options) {
  return std::make_unique<detail::Momentum<T>>("nesterov", true, options);
}

template std::unique_ptr<Optimizer<float>> make_sgd(const SgdOptions&);
template std::unique_ptr<Optimizer<double>> make_sgd(const SgdOptions&);
template std::unique_ptr<Optimizer<float>> make_momentum(const MomentumOptions&);
template std::unique_ptr<Optimizer<double>> make_momentum(const MomentumOptions&);
template std::unique_ptr<Optimizer<float>> make_nesterov(const MomentumOptions&);
template std::unique_ptr<Optimizer<double>> make_nesterov(const MomentumOptions&);

}  // namespace hso
