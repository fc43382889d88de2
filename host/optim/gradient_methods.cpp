// SPDX-License-Identifier: Apache-2.0
//
// sgd, momentum, adam.
#include <cmath>

#include "hsogpu/gradient_methods.hpp"
#include "optim/descent.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Sgd final : public Descent<T> {
 public:
  explicit Sgd(const SgdOptions& o) : Descent<T>("sgd"), o_(o) {
    require_option(o.rate > 0, "sgd", "rate", o.rate, "above 0");
  }

 private:
  Index vectors() const override { return 0; }
  void propose(Objective<T>& objective, const T* g, T* step, StepReport&) override {
    objective.context().template ops<T>().axpby(objective.dimension(), static_cast<T>(-o_.rate), g, T(0), step);
  }
  SgdOptions o_;
};

template <class T>
class Momentum final : public Descent<T> {
 public:
  explicit Momentum(const MomentumOptions& o) : Descent<T>("momentum"), o_(o) {
    require_option(o.rate > 0, "momentum", "rate", o.rate, "above 0");
    require_option(o.momentum >= 0 && o.momentum < 1, "momentum", "momentum", o.momentum, "in [0, 1)");
  }

 private:
  Index vectors() const override { return 1; }
  void start(Objective<T>& objective) override {
    velocity_ = Buffer<T>(objective.context(), objective.dimension());
    objective.context().template ops<T>().fill(objective.dimension(), T(0), velocity_.data());
  }
  void propose(Objective<T>& objective, const T* g, T* step, StepReport&) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    ops.axpby(n, static_cast<T>(-o_.rate), g, T(0), step);
    ops.axpby(n, static_cast<T>(-o_.rate * o_.momentum), velocity_.data(), T(1), step);
    last_ = step;
  }
  void commit(Ops<T>& ops) override {
    ops.axpby(velocity_.size(), static_cast<T>(-1 / o_.rate), last_, T(0), velocity_.data());
  }
  MomentumOptions o_;
  Buffer<T> velocity_;
  const T* last_ = nullptr;
};

template <class T>
class Adam final : public Descent<T> {
 public:
  explicit Adam(const AdamOptions& o) : Descent<T>("adam"), o_(o) {
    require_option(o.rate > 0, "adam", "rate", o.rate, "above 0");
    require_option(o.beta1 >= 0 && o.beta1 < 1, "adam", "beta1", o.beta1, "in [0, 1)");
    require_option(o.beta2 >= 0 && o.beta2 < 1, "adam", "beta2", o.beta2, "in [0, 1)");
    require_option(o.epsilon > 0, "adam", "epsilon", o.epsilon, "above 0");
  }

 private:
  Index vectors() const override { return 2; }
  void start(Objective<T>& objective) override {
    for (Buffer<T>* b : {&mean_, &square_}) {
      *b = Buffer<T>(objective.context(), objective.dimension());
      objective.context().template ops<T>().fill(b->size(), T(0), b->data());
    }
    steps_ = 0;
  }
  void propose(Objective<T>& objective, const T* g, T* step, StepReport&) override {
    ++steps_;
    const double c1 = 1 - std::pow(o_.beta1, steps_), c2 = 1 - std::pow(o_.beta2, steps_);
    objective.context().template ops<T>().for_each(
        1, objective.dimension(),
        AdamStep<T>{g, mean_.data(), square_.data(), step, static_cast<T>(o_.rate), static_cast<T>(o_.beta1),
                    static_cast<T>(o_.beta2), static_cast<T>(o_.epsilon), static_cast<T>(c1), static_cast<T>(c2)});
  }
  AdamOptions o_;
  Buffer<T> mean_, square_;
  int steps_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_sgd(const SgdOptions& options) {
  return std::make_unique<detail::Sgd<T>>(options);
}
template <class T>
std::unique_ptr<Optimizer<T>> make_momentum(const MomentumOptions& options) {
  return std::make_unique<detail::Momentum<T>>(options);
}
template <class T>
std::unique_ptr<Optimizer<T>> make_adam(const AdamOptions& options) {
  return std::make_unique<detail::Adam<T>>(options);
}

template std::unique_ptr<Optimizer<float>> make_sgd(const SgdOptions&);
template std::unique_ptr<Optimizer<double>> make_sgd(const SgdOptions&);
template std::unique_ptr<Optimizer<float>> make_momentum(const MomentumOptions&);
template std::unique_ptr<Optimizer<double>> make_momentum(const MomentumOptions&);
template std::unique_ptr<Optimizer<float>> make_adam(const AdamOptions&);
template std::unique_ptr<Optimizer<double>> make_adam(const AdamOptions&);

}  // namespace hso
