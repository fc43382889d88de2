// SPDX-License-Identifier: Apache-2.0
//
// Gradients divided by the root of their mean squares: rmsprop, adagrad, adam, adamw. AdamStep serves all four: with
// beta1 = 0 its mean is the gradient itself.
#include <cmath>

#include "hsogpu/gradient_methods.hpp"
#include "optim/descent.hpp"

namespace hso {
namespace detail {
namespace {

template <class T>
class Adam final : public Descent<T> {
 public:
  Adam(const char* name, const AdamWOptions& o) : Descent<T>(name), o_(o) {
    require_option(o.rate > 0, name, "rate", o.rate, "above 0");
    require_option(o.beta1 >= 0 && o.beta1 < 1, name, "beta1", o.beta1, "in [0, 1)");
    require_option(o.beta2 >= 0 && o.beta2 < 1, name, "beta2", o.beta2, "in [0, 1)");
    require_option(o.epsilon > 0, name, "epsilon", o.epsilon, "above 0");
    require_option(o.weight_decay >= 0, name, "weight_decay", o.weight_decay, "0 or above");
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
  double evaluate(Objective<T>& objective, const T* theta, T* gradient) override {
    theta_ = theta;
    return objective.gradient(theta, gradient);
  }
  void propose(Objective<T>& objective, const T* g, T* step, StepReport&) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    ++steps_;
    const double c1 = 1 - std::pow(o_.beta1, steps_), c2 = 1 - std::pow(o_.beta2, steps_);
    ops.for_each(
        1, n,
        AdamStep<T>{g, mean_.data(), square_.data(), step, static_cast<T>(o_.rate), static_cast<T>(o_.beta1),
                    static_cast<T>(o_.beta2), static_cast<T>(o_.epsilon), static_cast<T>(c1), static_cast<T>(c2)});
    if (o_.weight_decay > 0) ops.axpby(n, static_cast<T>(-o_.rate * o_.weight_decay), theta_, T(1), step);
  }
  AdamWOptions o_;
  Buffer<T> mean_, square_;
  const T* theta_ = nullptr;
  int steps_ = 0;
};

template <class T>
class RmsProp final : public Descent<T> {
 public:
  explicit RmsProp(const RmsPropOptions& o) : Descent<T>("rmsprop"), o_(o) {
    require_option(o.rate > 0, "rmsprop", "rate", o.rate, "above 0");
    require_option(o.alpha >= 0 && o.alpha < 1, "rmsprop", "alpha", o.alpha, "in [0, 1)");
    require_option(o.epsilon > 0, "rmsprop", "epsilon", o.epsilon, "above 0");
    require_option(o.momentum >= 0 && o.momentum < 1, "rmsprop", "momentum", o.momentum, "in [0, 1)");
  }

 private:
  Index vectors() const override { return 2 + (o_.centered ? 2 : 0) + (o_.momentum > 0 ? 1 : 0); }
  void start(Objective<T>& objective) override {
    for (Buffer<T>* b : {&square_, &last_gradient_, o_.centered ? &mean_ : nullptr, o_.centered ? &variance_ : nullptr,
                         o_.momentum > 0 ? &last_step_ : nullptr}) {
      if (b == nullptr) continue;
      *b = Buffer<T>(objective.context(), objective.dimension());
      objective.context().template ops<T>().fill(b->size(), T(0), b->data());
    }
  }
  void propose(Objective<T>& objective, const T* g, T* step, StepReport&) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    // Its variance is formed before, and beta2 = 1 leaves it as it is.
    if (o_.centered) form_variance(ops, g);
    T* scale = o_.centered ? variance_.data() : square_.data();
    const double beta2 = o_.centered ? 1 : o_.alpha;
    ops.for_each(1, n,
                 AdamStep<T>{g, last_gradient_.data(), scale, step, static_cast<T>(o_.rate), T(0),
                             static_cast<T>(beta2), static_cast<T>(o_.epsilon), T(1), T(1)});
    if (o_.momentum > 0) ops.axpby(n, static_cast<T>(o_.momentum), last_step_.data(), T(1), step);
    step_ = step;
  }
  void commit(Ops<T>& ops) override {
    if (o_.momentum > 0) ops.copy(last_step_.size(), step_, last_step_.data());
  }

  void form_variance(Ops<T>& ops, const T* g) {
    const Index n = square_.size();
    const T alpha = static_cast<T>(o_.alpha), rest = static_cast<T>(1 - o_.alpha);
    T* v = variance_.data();
    ops.for_each(1, n, Square<T>{g, v});
    ops.axpby(n, rest, v, alpha, square_.data());
    ops.axpby(n, rest, g, alpha, mean_.data());
    ops.for_each(1, n, Square<T>{mean_.data(), v});
    ops.axpby(n, T(1), square_.data(), T(-1), v);
    ops.for_each(1, n, ActivationValue<T, Relu>{{}, v, v});
  }

  RmsPropOptions o_;
  Buffer<T> square_, mean_, variance_, last_gradient_, last_step_;
  const T* step_ = nullptr;
};

template <class T>
class Adagrad final : public Descent<T> {
 public:
  explicit Adagrad(const AdagradOptions& o) : Descent<T>("adagrad"), o_(o) {
    require_option(o.rate > 0, "adagrad", "rate", o.rate, "above 0");
    require_option(o.epsilon > 0, "adagrad", "epsilon", o.epsilon, "above 0");
  }

 private:
  Index vectors() const override { return 2; }
  void start(Objective<T>& objective) override {
    for (Buffer<T>* b : {&last_gradient_, &square_}) {
      *b = Buffer<T>(objective.context(), objective.dimension());
      objective.context().template ops<T>().fill(b->size(), T(0), b->data());
    }
    steps_ = 0;
  }
  /// The sum of squares is t times their mean, whose recurrence is AdamStep's with beta2 = (t - 1) / t.
  void propose(Objective<T>& objective, const T* g, T* step, StepReport&) override {
    const double t = ++steps_;
    objective.context().template ops<T>().for_each(
        1, objective.dimension(),
        AdamStep<T>{g, last_gradient_.data(), square_.data(), step, static_cast<T>(o_.rate), T(0),
                    static_cast<T>((t - 1) / t), static_cast<T>(o_.epsilon), T(1), static_cast<T>(1 / t)});
  }
  AdagradOptions o_;
  Buffer<T> square_, last_gradient_;
  int steps_ = 0;
};

}  // namespace
}  // namespace detail

template <class T>
std::unique_ptr<Optimizer<T>> make_rmsprop(const RmsPropOptions& options) {
  return std::make_unique<detail::RmsProp<T>>(options);
}
template <class T>
std::unique_ptr<Optimizer<T>> make_adagrad(const AdagradOptions& options) {
  return std::make_unique<detail::Adagrad<T>>(options);
}
template <class T>
std::unique_ptr<Optimizer<T>> make_adam(const AdamOptions& o) {
  return std::make_unique<detail::Adam<T>>("adam", AdamWOptions{o.rate, o.beta1, o.beta2, o.epsilon, 0});
}
template <class T>
std::unique_ptr<Optimizer<T>> make_adamw(const AdamWOptions& options) {
  return std::make_unique<detail::Adam<T>>("adamw", options);
}

template std::unique_ptr<Optimizer<float>> make_rmsprop(const RmsPropOptions&);
template std::unique_ptr<Optimizer<double>> make_rmsprop(const RmsPropOptions&);
template std::unique_ptr<Optimizer<float>> make_adagrad(const AdagradOptions&);
template std::unique_ptr<Optimizer<double>> make_adagrad(const AdagradOptions&);
template std::unique_ptr<Optimizer<float>> make_adam(const AdamOptions&);
template std::unique_ptr<Optimizer<double>> make_adam(const AdamOptions&);
template std::unique_ptr<Optimizer<float>> make_adamw(const AdamWOptions&);
template std::unique_ptr<Optimizer<double>> make_adamw(const AdamWOptions&);

}  // namespace hso
