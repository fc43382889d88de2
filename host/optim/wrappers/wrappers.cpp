// SPDX-License-Identifier: Apache-2.0
//
// Wrappers that change the displacement: momentum, adam, weight_decay, clip, and a schedule's factor.
#include <array>
#include <cmath>
#include <limits>

#include "optim/wrappers/wrapper.hpp"

namespace hso::detail {
namespace {

template <class T>
class MomentumWrapper final : public Wrapper<T> {
 public:
  MomentumWrapper(Wrapped<T> inner, double momentum) : Wrapper<T>(std::move(inner), "momentum"), momentum_(momentum) {}

 private:
  void visit_own(StateVisitor& state) override { state("velocity", velocity_); }
  void start(Context& context, Index n) override {
    velocity_ = Buffer<T>(context, n);
    this->ops().fill(n, T(0), velocity_.data());
  }
  bool change(const T*, T* d, StepReport&) override {
    this->ops().axpby(this->n(), static_cast<T>(momentum_), velocity_.data(), T(1), d);
    return true;
  }
  void commit(const T* d) override { this->ops().copy(this->n(), d, velocity_.data()); }
  bool queues() const override { return true; }
  void change_on_device(const T*, T* d, DevicePlaces&) override {
    this->ops().axpby(this->n(), static_cast<T>(momentum_), velocity_.data(), T(1), d);
  }
  bool tell_change(StepPlaces<const double>&, StepReport&) const override { return true; }
  void commit_under(const T* d, const std::uint64_t* go) override {
    this->ops().for_each(1, this->n(), Guarded<Convert<T, T>>{go, {d, velocity_.data()}});
  }
  double momentum_;
  Buffer<T> velocity_;
};

template <class T>
class AdamWrapper final : public Wrapper<T> {
 public:
  AdamWrapper(Wrapped<T> inner, const Values& v) : Wrapper<T>(std::move(inner), "adam"), v_(v) {}

 private:
  void visit_own(StateVisitor& state) override {
    state("mean", mean_);
    state("square", square_);
  }
  void start(Context& context, Index n) override {
    for (Buffer<T>* b : {&mean_, &square_}) {
      *b = Buffer<T>(context, n);
      this->ops().fill(n, T(0), b->data());
    }
  }
  bool change(const T*, T* d, StepReport&) override {
    const double largest = this->ops().max_abs(this->n(), d);
    if (!std::isfinite(static_cast<T>(largest * largest))) {  // the moments stay usable
      this->ops().fill(this->n(), std::numeric_limits<T>::quiet_NaN(), d);
      return true;
    }
    const auto [rate, beta1, beta2, epsilon] = std::array{v_[0], v_[1], v_[2], v_[3]};
    const double t = static_cast<double>(this->steps() + 1);
    this->ops().axpby(this->n(), T(0), d, T(-1), d);
    this->ops().for_each(1, this->n(),
                         AdamStep<T>{d, mean_.data(), square_.data(), d, static_cast<T>(rate), static_cast<T>(beta1),
                                     static_cast<T>(beta2), static_cast<T>(epsilon),
                                     static_cast<T>(1 - std::pow(beta1, t)), static_cast<T>(1 - std::pow(beta2, t))});
    return true;
  }
  Values v_;
  Buffer<T> mean_, square_;
};

template <class T>
class WeightDecayWrapper final : public Wrapper<T> {
 public:
  WeightDecayWrapper(Wrapped<T> inner, double decay) : Wrapper<T>(std::move(inner), "weight_decay"), decay_(decay) {}

 private:
  void visit_own(StateVisitor&) override {}
  bool change(const T* theta, T* d, StepReport&) override {
    if (decay_ == 0) return false;
    this->ops().axpby(this->n(), static_cast<T>(-decay_), theta, T(1), d);
    return true;
  }
  bool queues() const override { return true; }
  void change_on_device(const T* theta, T* d, DevicePlaces&) override {
    if (decay_ != 0) this->ops().axpby(this->n(), static_cast<T>(-decay_), theta, T(1), d);
  }
  bool tell_change(StepPlaces<const double>&, StepReport&) const override { return decay_ != 0; }
  double decay_;
};

template <class T>
class ClipWrapper final : public Wrapper<T> {
 public:
  ClipWrapper(Wrapped<T> inner, double bound) : Wrapper<T>(std::move(inner), "clip"), bound_(bound) {}

 private:
  void visit_own(StateVisitor&) override {}
  bool change(const T*, T* d, StepReport&) override {
    const double norm = this->ops().nrm2(this->n(), d);
    if (norm <= bound_) return false;
    this->ops().axpby(this->n(), T(0), d, static_cast<T>(bound_ / norm), d);
    return true;
  }
  bool queues() const override { return true; }
  void change_on_device(const T*, T* d, DevicePlaces& at) override {
    double *squares = at.results(1), *factor = at.results(1);
    this->ops().dots_on_device(1, this->n(), d, this->n(), d, this->n(), squares);
    this->ops().for_each(1, 1, NormFactor<T>{squares, bound_, factor});
    this->ops().for_each(1, this->n(), ScaleBy<T>{factor, d});
  }
  bool tell_change(StepPlaces<const double>& from, StepReport&) const override {
    const double norm = std::sqrt(*from.results(1));
    from.results(1);
    return !(norm <= bound_);
  }
  double bound_;
};

template <class T>
class ScheduleWrapper final : public Wrapper<T> {
 public:
  ScheduleWrapper(Wrapped<T> inner, const std::string& kind, Schedule factor)
      : Wrapper<T>(std::move(inner), kind), metric_("factor_" + kind), factor_(std::move(factor)) {}

 private:
  void visit_own(StateVisitor&) override {}
  bool change(const T*, T* d, StepReport& report) override {
    const double factor = factor_(static_cast<double>(this->steps()));
    report.metrics.emplace_back(metric_, factor);
    if (factor == 1) return false;
    this->ops().axpby(this->n(), T(0), d, static_cast<T>(factor), d);
    return true;
  }
  bool queues() const override { return true; }
  void add_numbers(std::vector<double>& numbers) const override {
    numbers.push_back(factor_(static_cast<double>(this->steps())));
  }
  void change_on_device(const T*, T* d, DevicePlaces& at) override {
    this->ops().for_each(1, this->n(), ScaleBy<T>{at.numbers(1), d});
  }
  bool tell_change(StepPlaces<const double>& from, StepReport& report) const override {
    const double factor = *from.numbers(1);
    report.metrics.emplace_back(metric_, factor);
    return factor != 1;
  }
  std::string metric_;
  Schedule factor_;
};

}  // namespace

template <class T>
Wrapped<T> wrap_momentum(Wrapped<T> inner, const Values& v) {
  require_argument(v[0] >= 0 && v[0] < 1, "momentum", "momentum", v[0], "in [0, 1)");
  return std::make_unique<MomentumWrapper<T>>(std::move(inner), v[0]);
}
template <class T>
Wrapped<T> wrap_adam(Wrapped<T> inner, const Values& v) {
  require_argument(v[0] > 0, "adam", "rate", v[0], "above 0");
  require_argument(v[1] >= 0 && v[1] < 1, "adam", "beta1", v[1], "in [0, 1)");
  require_argument(v[2] >= 0 && v[2] < 1, "adam", "beta2", v[2], "in [0, 1)");
  require_argument(v[3] > 0, "adam", "epsilon", v[3], "above 0");
  return std::make_unique<AdamWrapper<T>>(std::move(inner), v);
}
template <class T>
Wrapped<T> wrap_weight_decay(Wrapped<T> inner, const Values& v) {
  require_argument(v[0] >= 0 && v[0] < 1, "weight_decay", "decay", v[0], "in [0, 1)");
  return std::make_unique<WeightDecayWrapper<T>>(std::move(inner), v[0]);
}
template <class T>
Wrapped<T> wrap_clip(Wrapped<T> inner, const Values& v) {
  require_argument(v[0] > 0, "clip", "norm", v[0], "above 0");
  return std::make_unique<ClipWrapper<T>>(std::move(inner), v[0]);
}
template <class T>
Wrapped<T> wrap_schedule(Wrapped<T> inner, const std::string& kind, Schedule factor) {
  return std::make_unique<ScheduleWrapper<T>>(std::move(inner), kind, std::move(factor));
}

template Wrapped<float> wrap_momentum(Wrapped<float>, const Values&);
template Wrapped<double> wrap_momentum(Wrapped<double>, const Values&);
template Wrapped<float> wrap_adam(Wrapped<float>, const Values&);
template Wrapped<double> wrap_adam(Wrapped<double>, const Values&);
template Wrapped<float> wrap_weight_decay(Wrapped<float>, const Values&);
template Wrapped<double> wrap_weight_decay(Wrapped<double>, const Values&);
template Wrapped<float> wrap_clip(Wrapped<float>, const Values&);
template Wrapped<double> wrap_clip(Wrapped<double>, const Values&);
template Wrapped<float> wrap_schedule(Wrapped<float>, const std::string&, Schedule);
template Wrapped<double> wrap_schedule(Wrapped<double>, const std::string&, Schedule);

}  // namespace hso::detail
