// SPDX-License-Identifier: Apache-2.0
//
// Gradients divided by the root of their mean squares: rmsprop, adagrad, adam, adamw. AdamStep serves all four: with
// beta1 = 0 its mean is the gradient itself.
#include <cmath>

#include "hsogpu/optim/first_order.hpp"
#include "optim/step/queued_descent.hpp"

namespace hso {
namespace detail {
namespace {

/// Without beta2 and corrections, which the step's numbers hold.
template <class T>
AdamStep<T> adam_step(const T* g, T* m, T* v, T* step, double rate, double beta1, double epsilon) {
  return {g, m, v, step, static_cast<T>(rate), static_cast<T>(beta1), T(0), static_cast<T>(epsilon), T(1), T(1)};
}

template <class T>
class Adam final : public QueuedDescent<T> {
 public:
  Adam(const char* name, const AdamWOptions& o) : QueuedDescent<T>(name), o_(o) {
    require_option(o.rate > 0, name, "rate", o.rate, "above 0");
    require_option(o.beta1 >= 0 && o.beta1 < 1, name, "beta1", o.beta1, "in [0, 1)");
    require_option(o.beta2 >= 0 && o.beta2 < 1, name, "beta2", o.beta2, "in [0, 1)");
    require_option(o.epsilon > 0, name, "epsilon", o.epsilon, "above 0");
    require_option(o.weight_decay >= 0, name, "weight_decay", o.weight_decay, "0 or above");
  }

 private:
  Index vectors() const override { return 4; }
  void visit_own(StateVisitor& state) override {
    state("mean", mean_);
    state("square", square_);
  }
  void begin(Objective<T>& objective) override {
    for (Buffer<T>* b : {&mean_, &square_}) {
      *b = Buffer<T>(objective.context(), objective.dimension());
      objective.context().template ops<T>().fill(b->size(), T(0), b->data());
    }
  }
  void add_numbers(std::vector<double>& numbers) const override {
    const auto t = static_cast<double>(this->proposals());
    numbers.insert(numbers.end(), {o_.beta2, 1 - std::pow(o_.beta1, t), 1 - std::pow(o_.beta2, t)});
  }
  void form(Objective<T>& objective, const T* theta, const T* g, T* step, DevicePlaces& at) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    const AdamStep<T> update = adam_step(g, mean_.data(), square_.data(), step, o_.rate, o_.beta1, o_.epsilon);
    ops.for_each(1, n, Guarded<AdamStepAt<T>>{at.go(), {update, at.numbers(3)}});
    if (o_.weight_decay > 0) ops.axpby(n, static_cast<T>(-o_.rate * o_.weight_decay), theta, T(1), step);
  }
  AdamWOptions o_;
  Buffer<T> mean_, square_;
};

template <class T>
class RmsProp final : public QueuedDescent<T> {
 public:
  explicit RmsProp(const RmsPropOptions& o) : QueuedDescent<T>("rmsprop"), o_(o) {
    require_option(o.rate > 0, "rmsprop", "rate", o.rate, "above 0");
    require_option(o.alpha >= 0 && o.alpha < 1, "rmsprop", "alpha", o.alpha, "in [0, 1)");
    require_option(o.epsilon > 0, "rmsprop", "epsilon", o.epsilon, "above 0");
    require_option(o.momentum >= 0 && o.momentum < 1, "rmsprop", "momentum", o.momentum, "in [0, 1)");
  }

 private:
  Index vectors() const override { return 4 + (o_.centered ? 3 : 0) + (o_.momentum > 0 ? 2 : 0); }
  void visit_own(StateVisitor& state) override {
    state("square", square_);
    state("last_gradient", last_gradient_);
    if (o_.centered) state("mean", mean_);
    if (o_.momentum > 0) state("last_step", last_step_);
  }
  void begin(Objective<T>& objective) override {
    for (Buffer<T>* b : {&square_, &last_gradient_, o_.centered ? &mean_ : nullptr, o_.centered ? &variance_ : nullptr,
                         o_.momentum > 0 ? &last_step_ : nullptr}) {
      if (b == nullptr) continue;
      *b = Buffer<T>(objective.context(), objective.dimension());
      objective.context().template ops<T>().fill(b->size(), T(0), b->data());
    }
  }
  /// The variance is formed before, and beta2 = 1 leaves it as it is.
  void add_numbers(std::vector<double>& numbers) const override {
    numbers.insert(numbers.end(), {o_.centered ? 1 : o_.alpha, 1.0, 1.0});
  }
  void form(Objective<T>& objective, const T*, const T* g, T* step, DevicePlaces& at) override {
    auto& ops = objective.context().template ops<T>();
    const Index n = objective.dimension();
    if (o_.centered) form_variance(ops, at.go(), g);
    T* scale = o_.centered ? variance_.data() : square_.data();
    const AdamStep<T> update = adam_step(g, last_gradient_.data(), scale, step, o_.rate, 0, o_.epsilon);
    ops.for_each(1, n, Guarded<AdamStepAt<T>>{at.go(), {update, at.numbers(3)}});
    if (o_.momentum > 0) ops.axpby(n, static_cast<T>(o_.momentum), last_step_.data(), T(1), step);
  }
  void commit_under(Ops<T>& ops, const std::uint64_t* go) override {
    if (o_.momentum > 0) ops.for_each(1, last_step_.size(), copy_under<T>(go, this->own_step(), last_step_.data()));
  }

  void form_variance(Ops<T>& ops, const std::uint64_t* go, const T* g) {
    const Index n = square_.size();
    const T alpha = static_cast<T>(o_.alpha), rest = static_cast<T>(1 - o_.alpha);
    T* v = variance_.data();
    ops.for_each(1, n, Square<T>{g, v});
    axpby_under<T>(ops, go, n, rest, v, alpha, square_.data());
    axpby_under(ops, go, n, rest, g, alpha, mean_.data());
    ops.for_each(1, n, Square<T>{mean_.data(), v});
    ops.axpby(n, T(1), square_.data(), T(-1), v);
    ops.for_each(1, n, ActivationValue<T, Relu>{{}, v, v});
  }

  RmsPropOptions o_;
  Buffer<T> square_, mean_, variance_, last_gradient_, last_step_;
};

template <class T>
class Adagrad final : public QueuedDescent<T> {
 public:
  explicit Adagrad(const AdagradOptions& o) : QueuedDescent<T>("adagrad"), o_(o) {
    require_option(o.rate > 0, "adagrad", "rate", o.rate, "above 0");
    require_option(o.epsilon > 0, "adagrad", "epsilon", o.epsilon, "above 0");
  }

 private:
  Index vectors() const override { return 4; }
  void visit_own(StateVisitor& state) override {
    state("last_gradient", last_gradient_);
    state("square", square_);
  }
  void begin(Objective<T>& objective) override {
    for (Buffer<T>* b : {&last_gradient_, &square_}) {
      *b = Buffer<T>(objective.context(), objective.dimension());
      objective.context().template ops<T>().fill(b->size(), T(0), b->data());
    }
  }
  /// The sum of squares is t times their mean, whose recurrence is AdamStep's with beta2 = (t - 1) / t.
  void add_numbers(std::vector<double>& numbers) const override {
    const auto t = static_cast<double>(this->proposals());
    numbers.insert(numbers.end(), {(t - 1) / t, 1.0, 1 / t});
  }
  void form(Objective<T>& objective, const T*, const T* g, T* step, DevicePlaces& at) override {
    const AdamStep<T> update = adam_step(g, last_gradient_.data(), square_.data(), step, o_.rate, 0, o_.epsilon);
    objective.context().template ops<T>().for_each(1, objective.dimension(),
                                                   Guarded<AdamStepAt<T>>{at.go(), {update, at.numbers(3)}});
  }
  AdagradOptions o_;
  Buffer<T> square_, last_gradient_;
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
