// SPDX-License-Identifier: Apache-2.0
#include "hsogpu/optim/minimize.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

#include "hsogpu/core/error.hpp"
#include "hsogpu/detail/ops.hpp"
#include "optim/minimize/checks.hpp"
#include "optim/minimize/counting.hpp"
#include "optim/minimize/second_order.hpp"

namespace hso {

const char* name_of(Termination termination) {
  constexpr const char* kNames[] = {"gradient",    "step",    "loss",      "target",     "steps",    "time",
                                    "evaluations", "stalled", "unbounded", "not_finite", "singular", "stopped_by_user",
                                    "saddle"};
  return kNames[static_cast<int>(termination)];
}

namespace {

/// Methods for networks alone look for the network itself.
bool needs_network(const std::string& name) {
  for (const OptimizerInfo& info : optimizer_table())
    if (info.name == name.substr(0, name.find('+'))) return info.needs_network;  // "kfac+momentum": wrapped
  return false;
}

template <class T>
void check_size(const Objective<T>& objective, Index given) {
  if (given != objective.dimension())
    throw UsageError(
        fmt::format("minimize: theta holds {} numbers, the objective has {} variables", given, objective.dimension()));
}

struct Stop {
  Termination termination;
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
        best_(objective.context(), n_),
        start_at_(objective.context(), n_) {
    ops_.copy(n_, theta_, best_.data());
    ops_.copy(n_, theta_, start_at_.data());
    start_norm_ = ops_.nrm2(n_, theta_);
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
    if (s_.solves >= o_.max_steps) return Stop{Termination::steps, fmt::format("{} steps", s_.solves)};
    if (counts_.all() >= o_.max_evaluations)
      return Stop{Termination::evaluations, fmt::format("{} evaluations", counts_.all())};
    if (seconds() >= o_.max_seconds) return Stop{Termination::time, fmt::format("{:.3g} seconds", seconds())};
    return {};
  }

  std::optional<Stop> one_step() {
    ops_.copy(n_, theta_, before_.data());
    counts_.fell_forever = false;
    const StepReport r = optimizer_.step(objective_, theta_);
    record(r);
    keep_the_best(r);
    if (auto stop = judge(r)) return stop;
    if (o_.callback && !o_.callback(s_.history.back(), r)) return Stop{Termination::stopped_by_user, "by the callback"};
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
    if (std::isfinite(r.loss_before)) largest_value_ = std::max(largest_value_, std::fabs(r.loss_before));
    if (std::isfinite(r.gradient_norm)) largest_gradient_ = std::max(largest_gradient_, r.gradient_norm);
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
    if (s_.solves <= 1 && !std::isfinite(best_value_)) other_value_ = value;
    if (!std::isfinite(value) || !(value < best_value_)) return;
    best_value_ = value;
    ops_.copy(n_, point, best_.data());
  }

  std::optional<Stop> judge(const StepReport& r) {
    if (auto stop = judge_gradient(r)) return stop;
    if (counts_.fell_forever) return Stop{Termination::unbounded, "a value was -infinity"};
    if (r.status == StepStatus::not_finite) return Stop{Termination::not_finite, r.message};
    if (best_value_ <= o_.target) return Stop{Termination::target, fmt::format("f = {:.6g}", best_value_)};
    if (r.status != StepStatus::accepted) return judge_rejection(r);
    const bool grows = r.step_norm >= last_step_;
    last_step_ = r.step_norm;
    if (r.loss_after < -o_.unbounded_below * std::max(1.0, std::fabs(first_value_)) && grows)
      return Stop{Termination::unbounded,
                  fmt::format("f = {:.3g} and steps that grow, {:.3g}", r.loss_after, r.step_norm)};
    return judge_progress(r);
  }

  std::optional<Stop> judge_gradient(const StepReport& r) {
    const std::string why = stationary(r);
    if (why.empty()) return {};
    const bool measures = measured(r).has_value(), accepted = r.status == StepStatus::accepted;
    const bool saddle = saddle_at(r);
    // Trials from a smaller radius or with more damping may still lower f; without one nothing changes.
    const bool tries = r.status == StepStatus::rejected && r.trials > 0 && rejections_ < o_.max_rejections;
    if (measures && (saddle ? accepted || tries : accepted && detail::uncertain(r))) {  // it goes on
      least_gradient_ = r.gradient_norm;
      return {};
    }
    return Stop{saddle ? Termination::saddle : Termination::gradient, why};
  }
  bool saddle_at(const StepReport& r) {
    converged_value_ = r.loss_before;
    inertia_ = signs_at(r);
    return inertia_ && inertia_->negative > 0;
  }
  std::optional<Inertia> signs_at(const StepReport& r) {
    if (auto found = measured(r)) return found;
    const auto of_the_method = counts_.kind;
    auto found = detail::look_at_hessian(objective_, before_.data(), start_at_.data(), o_.inertia_up_to,
                                         o_.inertia_by_differences_up_to);
    counts_.kind = of_the_method;
    return found;
  }
  /// The inertia that the step itself measured, where its curvature is the Hessian.
  std::optional<Inertia> measured(const StepReport& r) const {
    const bool hessian = counts_.kind == Curvature::hessian || counts_.kind == Curvature::finite_difference;
    return hessian ? detail::inertia_of(r) : std::nullopt;
  }

  /// Which gradient test holds at the point before the step; empty: none.
  std::string stationary(const StepReport& r) {
    if (!std::isfinite(r.loss_before) || !std::isfinite(r.gradient_norm)) return {};
    if (r.status == StepStatus::accepted) vanishing_ = goes_to_zero(r) ? vanishing_ + 1 : 0;
    const double g = r.gradient_norm, scaled = r.scaled_gradient;
    const auto said = [&](const std::string& test) {
      return fmt::format("|g| = {:.3g}{}{}", g, scaled < 0 ? std::string() : fmt::format(", scaled {:.3g}", scaled),
                         test);
    };
    if (g == 0) return said("");
    if (g <= o_.gradient_absolute) return said(fmt::format(", at most {:.3g}", o_.gradient_absolute));
    if (g <= o_.gradient_relative * first_gradient_)
      return said(fmt::format(", at most {:.3g} of that at the start", o_.gradient_relative));
    if (scaled < 0 && g <= o_.gradient_fallback * first_gradient_)
      return said(fmt::format(", at most {:.3g} of that at the start", o_.gradient_fallback));
    if (scaled < 0 || scaled_tolerance() == 0) return {};
    if (scaled <= scaled_tolerance()) return said(fmt::format(", at most {:.3g}", scaled_tolerance()));
    if (vanishing_ >= kVanishing)
      return said(
          fmt::format(", and f goes to 0: {:.3g} of its largest value", std::fabs(r.loss_before) / largest_value_));
    return at_rest(r, said);
  }
  double scaled_tolerance() const {
    if (o_.gradient_scaled >= 0) return o_.gradient_scaled;
    return sizeof(T) == sizeof(double) ? 1e-7 : 3e-4;
  }
  /// What the model could gain is nothing beside the largest |f|, and gradient and steps have become small too.
  bool vanishes(const StepReport& r, double share, double step_share) {
    if (r.scaled_gradient < 0 || !(r.gradient_norm <= 1e-8 * largest_gradient_)) return false;
    const double f = std::fabs(r.loss_before), gain = f > 0 ? r.scaled_gradient * r.scaled_gradient * f : 0;
    if (!(gain <= share * largest_value_)) return false;
    const double step = r.status == StepStatus::accepted ? r.step_norm : last_step_;
    return step <= step_share * std::max(start_norm_, ops_.nrm2(n_, before_.data()));
  }
  /// By a constant factor, as where the Hessian is singular, f is seen to vanish earlier than where it falls faster.
  bool goes_to_zero(const StepReport& r) {
    const double ratio = r.loss_after / r.loss_before;
    if (!(ratio <= 0.5)) return false;
    return ratio >= 1e-3 ? vanishes(r, kLittle, 1e-5) : vanishes(r, kNothing, 1e-7);
  }
  /// Of a step that lowered nothing.
  template <class Said>
  std::string at_rest(const StepReport& r, const Said& said) {
    if (r.status != StepStatus::rejected) return {};
    const double step = metric(r, "relative_step"), cosine = metric(r, "largest_cosine");
    if (step <= 4 * kEpsilon)
      return said(fmt::format(", and the step of the model is within rounding of theta, {:.3g} of it", step));
    if (rejections_ < o_.max_rejections) return {};
    if ((step <= 1e-5 || r.loss_before == 0) && vanishes(r, kLittle, 1e-5))
      return said(", no trial lowers f, and nothing beside its largest value is left");
    if (cosine <= scaled_tolerance())
      return said(fmt::format(", no trial lowers f, and the largest cosine is {:.3g}", cosine));
    return {};
  }
  static double metric(const StepReport& r, const char* name) {
    for (const auto& [key, value] : r.metrics)
      if (key == name && std::holds_alternative<double>(value)) return std::get<double>(value);
    return std::numeric_limits<double>::infinity();
  }

  std::optional<Stop> judge_rejection(const StepReport& r) {
    if (r.status == StepStatus::singular) return Stop{Termination::singular, r.message};
    if (rejections_ < o_.max_rejections) return {};
    const bool rests = r.gradient_norm <= least_gradient_;  // f is flat to rounding where a gradient test held before
    if (rests || r.gradient_norm <= kSmall * largest_gradient_) {
      const bool saddle = saddle_at(r);
      if (saddle || rests)
        return Stop{saddle ? Termination::saddle : Termination::gradient,
                    fmt::format("|g| = {:.3g}, and no trial lowers f", r.gradient_norm)};
    }
    return Stop{Termination::stalled,
                fmt::format("{} steps in a row without a lower value: {}", rejections_, r.message)};
  }

  std::optional<Stop> judge_progress(const StepReport& r) {
    if (o_.step > 0 && r.step_norm <= o_.step * ops_.nrm2(n_, theta_))
      return Stop{Termination::step, fmt::format("|s| = {:.3g}", r.step_norm)};
    const double decrease = r.loss_before - r.loss_after;
    if (o_.loss > 0 && known_ && decrease <= o_.loss * std::fabs(r.loss_before))
      return Stop{Termination::loss, fmt::format("f fell by {:.3g}", decrease)};
    return {};
  }

  void finish(const Stop& stop) {
    s_.termination = stop.termination;
    if (stop.termination == Termination::gradient || stop.termination == Termination::saddle) {
      ops_.copy(n_, before_.data(), theta_);  // where the test held: the step after it is not taken
      best_value_ = converged_value_;
      s_.steps -= s_.last.status == StepStatus::accepted;
      s_.inertia = inertia_;
    } else {
      if (!known_) take(other_value_ = objective_.value(theta_), theta_);
      ops_.copy(n_, best_.data(), theta_);
      if (s_.solves > 0 && s_.last.status != StepStatus::accepted && s_.last.loss_before == best_value_)
        s_.inertia = measured(s_.last);
    }
    s_.message = fmt::format("{}; {}", stop.message,
                             s_.inertia ? detail::words_of(*s_.inertia) : "signs of the Hessian's eigenvalues unknown");
    s_.value = std::isfinite(best_value_) ? best_value_ : other_value_;
    s_.values = counts_.values;
    s_.gradients = counts_.gradients;
    s_.products = counts_.products;
    s_.hessians = counts_.hessians;
    s_.seconds = seconds();
  }

  static constexpr double kEpsilon = std::numeric_limits<T>::epsilon();
  static constexpr int kVanishing = 3;
  static constexpr double kSmall = 1e-6;                        ///< of the largest gradient: a saddle is looked for
  static constexpr double kNothing = 16 * kEpsilon * kEpsilon;  ///< of f: (4 epsilon)^2, residuals being squared
  static constexpr double kLittle = 4096 * kEpsilon * kEpsilon;
  Optimizer<T>& optimizer_;
  detail::Counts counts_;
  detail::CountingObjective<T> counting_;
  Objective<T>& objective_;
  T* theta_;
  const MinimizeOptions& o_;
  Index n_;
  detail::Ops<T>& ops_;
  Buffer<T> before_, best_, start_at_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double best_value_ = std::numeric_limits<double>::infinity(), converged_value_ = 0;
  double first_value_ = 0, first_gradient_ = 0, last_step_ = 0;
  double largest_value_ = 0, largest_gradient_ = 0, start_norm_ = 0;
  double least_gradient_ = -1;                                     ///< at the last saddle that the method went on from
  double other_value_ = std::numeric_limits<double>::quiet_NaN();  ///< at the start, where it is not finite
  int rejections_ = 0, vanishing_ = 0;
  std::optional<Inertia> inertia_;  ///< where a gradient test held last
  bool known_ = false;              ///< the value at theta
  Summary s_;
};

}  // namespace

template <class T>
Summary minimize(Optimizer<T>& optimizer, Objective<T>& objective, View<T> theta, const MinimizeOptions& options) {
  detail::check_options(options);
  detail::check_one_piece(theta);
  check_size(objective, theta.lanes * theta.size());
  return Driver<T>(optimizer, objective, theta.data, options).run();
}

template <class T>
Summary minimize(Optimizer<T>& optimizer, Objective<T>& objective, Buffer<T>& theta, const MinimizeOptions& options) {
  return minimize(optimizer, objective, theta.view(), options);
}

template <class T>
Summary minimize(Optimizer<T>& optimizer, Objective<T>& objective, std::vector<T>& theta,
                 const MinimizeOptions& options) {
  check_size(objective, static_cast<Index>(theta.size()));
  Buffer<T> device(objective.context(), Span<const T>(theta));
  try {
    Summary summary = minimize(optimizer, objective, device.view(), options);
    theta = device.download();
    return summary;
  } catch (...) {
    theta = device.download();
    throw;
  }
}

OptimizerSettings robust_settings(const std::string& curvature) {
  const Curvature kind = parse_curvature(curvature);
  if (kind != Curvature::hessian && kind != Curvature::ggn && kind != Curvature::finite_difference)
    throw UsageError(
        fmt::format("robust_settings: curvature = '{}', expected hessian, ggn or finite_difference", curvature));
  return {{"control", "trust_region"}, {"scaling", "curvature"}, {"eps_scale", "0"}, {"curvature", curvature}};
}

template <class T>
Summary minimize(Objective<T>& objective, View<T> theta, const MinimizeOptions& options) {
  return minimize(*make_optimizer<T>("hso", robust_settings()), objective, theta, options);
}
template <class T>
Summary minimize(Objective<T>& objective, Buffer<T>& theta, const MinimizeOptions& options) {
  return minimize(objective, theta.view(), options);
}
template <class T>
Summary minimize(Objective<T>& objective, std::vector<T>& theta, const MinimizeOptions& options) {
  return minimize(*make_optimizer<T>("hso", robust_settings()), objective, theta, options);
}

template Summary minimize(Optimizer<float>&, Objective<float>&, View<float>, const MinimizeOptions&);
template Summary minimize(Optimizer<double>&, Objective<double>&, View<double>, const MinimizeOptions&);
template Summary minimize(Optimizer<float>&, Objective<float>&, Buffer<float>&, const MinimizeOptions&);
template Summary minimize(Optimizer<double>&, Objective<double>&, Buffer<double>&, const MinimizeOptions&);
template Summary minimize(Optimizer<float>&, Objective<float>&, std::vector<float>&, const MinimizeOptions&);
template Summary minimize(Optimizer<double>&, Objective<double>&, std::vector<double>&, const MinimizeOptions&);
template Summary minimize(Objective<float>&, View<float>, const MinimizeOptions&);
template Summary minimize(Objective<double>&, View<double>, const MinimizeOptions&);
template Summary minimize(Objective<float>&, Buffer<float>&, const MinimizeOptions&);
template Summary minimize(Objective<double>&, Buffer<double>&, const MinimizeOptions&);
template Summary minimize(Objective<float>&, std::vector<float>&, const MinimizeOptions&);
template Summary minimize(Objective<double>&, std::vector<double>&, const MinimizeOptions&);

}  // namespace hso
