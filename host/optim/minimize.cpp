// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/minimize.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <optional>

#include "hsogpu/detail/ops.hpp"
#include "hsogpu/error.hpp"
#include "optim/counting.hpp"

namespace hso {

const char* name_of(Verdict verdict) {
  constexpr const char* kNames[] = {"gradient",    "step",    "loss",      "target",     "steps",    "time",
                                    "evaluations", "stalled", "unbounded", "not_finite", "singular", "stopped_by_user"};
  return kNames[static_cast<int>(verdict)];
}

namespace {

void check_options(const MinimizeOptions& o) {
  const auto require = [](bool ok, const char* option, double value, const char* expected) {
    if (!ok) throw UsageError(fmt::format("minimize: {} = {}, expected {}", option, value, expected));
  };
  require(o.gradient_absolute >= 0, "gradient_absolute", o.gradient_absolute, "0 or above");
  require(o.gradient_relative >= 0, "gradient_relative", o.gradient_relative, "0 or above");
  require(o.gradient_scaled >= 0, "gradient_scaled", o.gradient_scaled, "0 or above");
  require(o.step >= 0, "step", o.step, "0 or above");
  require(o.loss >= 0, "loss", o.loss, "0 or above");
  require(o.max_steps >= 0, "max_steps", o.max_steps, "0 or above");
  require(o.max_rejections >= 1, "max_rejections", o.max_rejections, "at least 1");
  require(o.unbounded_below > 0, "unbounded_below", o.unbounded_below, "above 0");
  require(!std::isnan(o.target), "target", o.target, "a number");
  require(o.max_seconds >= 0, "max_seconds", o.max_seconds, "0 or above");
  require(o.max_evaluations >= 0, "max_evaluations", static_cast<double>(o.max_evaluations), "0 or above");
}

/// Methods for networks alone look for the network itself.
bool needs_network(const std::string& name) {
  for (const OptimizerInfo& info : optimizer_table())
    if (info.name == name.substr(0, name.find('+'))) return info.needs_network;  // "kfac+momentum": wrapped
  return false;
}

struct Stop {
  Verdict verdict;
  std::string message;
};

template <class T>
class Driver {
 public:
  Driver(Optimizer<T>& optimizer, Objective<T>& objective, T* theta, const MinimizeOptions& options)
      : optimizer_(optimizer),
        counting_(objective, counts_),
        objective_(needs_network(optimizer.name()) ? objective : counting_),
        theta_(theta),
        o_(options),
        n_(objective.dimension()),
        ops_(objective.context().template ops<T>()),
        before_(objective.context(), n_),
        best_(objective.context(), n_) {
    ops_.copy(n_, theta_, best_.data());
  }

  Summary run() {
    try {
      std::optional<Stop> stop;
      while (!(stop = box()) && !(stop = one_step())) {
      }
      finish(*stop);
    } catch (...) {
      ops_.copy(n_, best_.data(), theta_);
      throw;
    }
    return std::move(s_);
  }

 private:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

  std::optional<Stop> box() const {
    if (s_.solves >= o_.max_steps) return Stop{Verdict::steps, fmt::format("{} steps", s_.solves)};
    if (counts_.all() >= o_.max_evaluations)
      return Stop{Verdict::evaluations, fmt::format("{} evaluations", counts_.all())};
    if (seconds() >= o_.max_seconds) return Stop{Verdict::time, fmt::format("{:.3g} seconds", seconds())};
    return {};
  }

  std::optional<Stop> one_step() {
    ops_.copy(n_, theta_, before_.data());
    counts_.fell_forever = false;
    const StepReport r = optimizer_.step(objective_, theta_);
    record(r);
    keep_the_best(r);
    if (auto stop = judge(r)) return stop;
    if (o_.callback && !o_.callback(s_.history.back(), r)) return Stop{Verdict::stopped_by_user, "by the callback"};
    return {};
  }

  void record(const StepReport& r) {
    if (s_.solves == 0) {
      first_value_ = r.loss_before;
      first_gradient_ = r.gradient_norm;
    }
    ++s_.solves;
    s_.steps += r.status == StepStatus::accepted;
    rejections_ = r.status == StepStatus::accepted ? 0 : rejections_ + 1;
    if (&objective_ != &counting_) {
      counts_.values += r.trials;
      counts_.gradients += r.gradients;
      counts_.products += r.products;
    }
    s_.gradient_norm = r.gradient_norm;
    s_.history.push_back({s_.solves, r.loss_before, r.gradient_norm, r.step_norm, seconds(), r.status});
    s_.last = r;
  }

  /// Of a method that does not evaluate its new point, that point's value is the next step's first.
  void keep_the_best(const StepReport& r) {
    take(r.loss_before, before_.data());
    known_ = r.status != StepStatus::accepted || r.loss_after != r.loss_before;
    if (known_ && r.status == StepStatus::accepted) take(r.loss_after, theta_);
  }
  void take(double value, const T* point) {
    if (!std::isfinite(value) || !(value < best_value_)) return;
    best_value_ = value;
    ops_.copy(n_, point, best_.data());
  }

  std::optional<Stop> judge(const StepReport& r) {
    if (auto stop = judge_gradient(r)) return stop;
    if (counts_.fell_forever) return Stop{Verdict::unbounded, "a value was -infinity"};
    if (r.status == StepStatus::not_finite) return Stop{Verdict::not_finite, r.message};
    if (best_value_ <= o_.target) return Stop{Verdict::target, fmt::format("f = {:.6g}", best_value_)};
    if (r.status != StepStatus::accepted) return judge_rejection(r);
    const bool grows = r.step_norm >= last_step_;
    last_step_ = r.step_norm;
    if (r.loss_after < -o_.unbounded_below * std::max(1.0, std::fabs(first_value_)) && grows)
      return Stop{Verdict::unbounded, fmt::format("f = {:.3g} and steps that grow, {:.3g}", r.loss_after, r.step_norm)};
    return judge_progress(r);
  }

  std::optional<Stop> judge_gradient(const StepReport& r) {
    if (!std::isfinite(r.loss_before) || !std::isfinite(r.gradient_norm)) return {};
    const bool scaled = o_.gradient_scaled > 0 && r.scaled_gradient >= 0 && r.scaled_gradient <= o_.gradient_scaled;
    const bool small = r.gradient_norm <= o_.gradient_absolute ||
                       (o_.gradient_relative > 0 && r.gradient_norm <= o_.gradient_relative * first_gradient_);
    if (!scaled && !small) return {};
    converged_value_ = r.loss_before;
    return Stop{Verdict::gradient,
                fmt::format("|g| = {:.3g}{}", r.gradient_norm,
                            r.scaled_gradient < 0 ? std::string() : fmt::format(", scaled {:.3g}", r.scaled_gradient))};
  }

  std::optional<Stop> judge_rejection(const StepReport& r) {
    if (r.status == StepStatus::singular) return Stop{Verdict::singular, r.message};
    if (rejections_ < o_.max_rejections) return {};
    return Stop{Verdict::stalled, fmt::format("{} steps in a row without a lower value: {}", rejections_, r.message)};
  }

  std::optional<Stop> judge_progress(const StepReport& r) {
    if (o_.step > 0 && r.step_norm <= o_.step * ops_.nrm2(n_, theta_))
      return Stop{Verdict::step, fmt::format("|s| = {:.3g}", r.step_norm)};
    const double decrease = r.loss_before - r.loss_after;
    if (o_.loss > 0 && known_ && decrease <= o_.loss * std::fabs(r.loss_before))
      return Stop{Verdict::loss, fmt::format("f fell by {:.3g}", decrease)};
    return {};
  }

  void finish(const Stop& stop) {
    s_.verdict = stop.verdict;
    s_.message = stop.message;
    if (stop.verdict == Verdict::gradient) {  // where the test held: the step after it is not taken
      ops_.copy(n_, before_.data(), theta_);
      best_value_ = converged_value_;
      s_.steps -= s_.last.status == StepStatus::accepted;
    } else {
      if (!known_) take(objective_.value(theta_), theta_);
      ops_.copy(n_, best_.data(), theta_);
    }
    s_.value = best_value_;
    s_.values = counts_.values;
    s_.gradients = counts_.gradients;
    s_.products = counts_.products;
    s_.seconds = seconds();
  }

  Optimizer<T>& optimizer_;
  detail::Counts counts_;
  detail::CountingObjective<T> counting_;
  Objective<T>& objective_;
  T* theta_;
  const MinimizeOptions& o_;
  Index n_;
  detail::Ops<T>& ops_;
  Buffer<T> before_, best_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double best_value_ = std::numeric_limits<double>::infinity(), converged_value_ = 0;
  double first_value_ = 0, first_gradient_ = 0, last_step_ = 0;
  int rejections_ = 0;
  bool known_ = false;  ///< the value at theta
  Summary s_;
};

}  // namespace

template <class T>
Summary minimize(Optimizer<T>& optimizer, Objective<T>& objective, T* theta, const MinimizeOptions& options) {
  check_options(options);
  return Driver<T>(optimizer, objective, theta, options).run();
}

OptimizerSettings robust_settings(const std::string& curvature) {
  return {{"control", "trust_region"}, {"scaling", "curvature"}, {"eps_scale", "0"}, {"curvature", curvature}};
}

template <class T>
Summary minimize(Objective<T>& objective, T* theta, const MinimizeOptions& options) {
  return minimize(*make_optimizer<T>("hso", robust_settings()), objective, theta, options);
}

template Summary minimize(Optimizer<float>&, Objective<float>&, float*, const MinimizeOptions&);
template Summary minimize(Optimizer<double>&, Objective<double>&, double*, const MinimizeOptions&);
template Summary minimize(Objective<float>&, float*, const MinimizeOptions&);
template Summary minimize(Objective<double>&, double*, const MinimizeOptions&);

}  // namespace hso
